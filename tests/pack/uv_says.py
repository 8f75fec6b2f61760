"""What uv and git print when they fail, as they printed it, with the kind that it is and a word of what to do."""

from __future__ import annotations

BUILD = """\
error: Failed to build `pyyaml==5.4.1`
  cause: The build backend returned an error
  cause: Call to `setuptools.build_meta.get_requires_for_build_wheel` failed (exit status: 1)

         [stdout]
         running egg_info

         [stderr]
         Traceback (most recent call last):
           File "<string>", line 14, in <module>
           File "/tmp/lib/python3.11/site-packages/setuptools/build_meta.py", line 333, in get_requires_for_build_wheel
         error: network is unreachable, 401, dns, No space left on device
         AttributeError: 'build_ext' object has no attribute 'cython_sources'

hint: Build failures usually indicate a problem with the package or the build environment
"""

UV: list[tuple[str, str, str]] = [
    (
        """\
error: No solution found when resolving dependencies for split (markers: python_full_version == '3.8.*')
  cause: Because the requested Python version (>=3.8) does not satisfy Python>=3.9 and networkx==3.2 depends on \
Python>=3.9, we can conclude that networkx==3.2 cannot be used.
         And because you require networkx==3.2, we can conclude that your requirements are unsatisfiable.

hint: While the active Python version is 3.11, the resolution failed for other Python versions supported by it.
""",
        "python",
        "networkx==3.2 needs Python >=3.9",
    ),
    (
        """\
error: No solution found when resolving dependencies
  cause: Because there is no version of requests==2.403.0 and you require requests==2.403.0, we can conclude that your \
requirements are unsatisfiable.
""",
        "no such version",
        "`pip index versions requests`",
    ),
    (
        """\
error: No solution found when resolving dependencies
  cause: Because there is no version of dnspython==99 and you require dnspython==99, we can conclude that your \
requirements are unsatisfiable.
""",
        "no such version",
        "dnspython",
    ),
    (
        """\
error: No solution found when resolving dependencies
  cause: Because only connect-timeout<=1.0 is available and you require connect-timeout>2, we can conclude that your \
requirements are unsatisfiable.
""",
        "no such version",
        "connect-timeout",
    ),
    (
        """\
error: No solution found when resolving dependencies
  cause: Because offline-network-401 was not found in the package registry and you require offline-network-401, we can \
conclude that your requirements are unsatisfiable.
""",
        "no such package",
        "check the name offline-network-401",
    ),
    (
        """\
error: No solution found when resolving dependencies
  cause: Because one==1.0 depends on two<2 and you require one==1.0, we can conclude that two<2.
         And because you require two>=2, we can conclude that your requirements are unsatisfiable.
""",
        "conflict",
        "contradict",
    ),
    (
        """\
error: No solution found when resolving dependencies
  cause: Because six was not found in the package registry and you require six, we can conclude that your requirements \
are unsatisfiable.

hint: An index URL (http://127.0.0.1:18081/simple) could not be queried due to a lack of valid authentication \
credentials (401 Unauthorized)
""",
        "credentials",
        "credentials",
    ),
    (
        """\
error: No solution found when resolving dependencies
  cause: Because six was not found in the package registry and you require six, we can conclude that your requirements \
are unsatisfiable.

hint: An index (http://127.0.0.1:18081/403) returned a 403 Forbidden error. Check that the index URL is correct.
""",
        "credentials",
        "credentials",
    ),
    (
        """\
error: No solution found when resolving dependencies
  cause: Because six was not found in the cache and you require six, we can conclude that your requirements are \
unsatisfiable.

hint: Packages were unavailable because the network was disabled. When the network is disabled, registry packages may \
only be read from the cache.
""",
        "offline",
        "UV_OFFLINE",
    ),
    (
        """\
error: Failed to fetch: https://nowhere.invalid/simple/six/
  cause: error sending request for url (https://nowhere.invalid/simple/six/)
  cause: client error (Connect)
  cause: dns error
  cause: error resolving DNS
  cause: failed to lookup address information: Name or service not known
""",
        "network",
        "check the network",
    ),
    (
        """\
error: Failed to fetch: https://127.0.0.1:18081/x/six/
  cause: error sending request for url (https://127.0.0.1:18081/x/six/)
  cause: client error (Connect)
  cause: received corrupt message of type InvalidContentType
""",
        "certificate",
        "certificate",
    ),
    (
        """\
error: Failed to fetch: http://127.0.0.1:18081/503/six/
  cause: HTTP status server error (503 Service Unavailable) for url (http://127.0.0.1:18081/503/six/)
""",
        "broken index",
        "later",
    ),
    (
        """\
error: Failed to fetch: http://127.0.0.1:18081/401/six/
  cause: HTTP status client error (429 Too Many Requests) for url (http://127.0.0.1:18081/401/six/)
""",
        "busy index",
        "later",
    ),
    (
        """\
error: Failed to download and build `six @ git+https://127.0.0.1:1/x/y.git`
  cause: Git operation failed
  cause: failed to clone into: /root/.cache/uv/git-v2/db/fdb95cebc1007083
  cause: process didn't exit successfully: `/usr/bin/git fetch --force 'https://127.0.0.1:1/x/y.git'` (exit status: 128)
         --- stderr
         fatal: unable to access 'https://127.0.0.1:1/x/y.git/': Failed to connect to 127.0.0.1 port 1 after 0 ms: \
Couldn't connect to server
""",
        "git",
        "can be reached",
    ),
    (
        """\
error: Failed to download `six==1.16.0`
  cause: Hash mismatch for `six==1.16.0`

         Expected:
           sha256:0000000000000000000000000000000000000000000000000000000000000000

         Computed:
           sha256:8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254
""",
        "hash",
        "six==1.16.0 is another file",
    ),
    (
        """\
error: No solution found when resolving dependencies
  cause: Because pywin32==306 has no wheels with a matching platform tag (e.g., `manylinux_2_36_x86_64`) and you \
require pywin32==306, we can conclude that your requirements are unsatisfiable.

hint: Wheels are available for `pywin32` (v306) on the following platforms: `win32`, `win_amd64`, `win_arm64`
""",
        "platform",
        "pywin32==306 has no wheel",
    ),
    (
        """\
error: No interpreter found for Python 3.99 in managed installations or search path

hint: uv embeds available Python downloads and may require an update to install new versions.
""",
        "no such Python",
        "`python`",
    ),
    (
        """\
error: Failed to parse entry: `p5b`
  cause: `p5b` references a workspace in `tool.uv.sources` (e.g., `p5b = { workspace = true }`), but is not a \
workspace member
""",
        "outside the source",
        "inside its source",
    ),
    ("error: Distribution not found at: file:///tmp/network/lib\n", "outside the source", "inside its source"),
    (BUILD, "build", "pyyaml==5.4.1 has to be built"),
    (
        """\
error: The build backend returned an error
  cause: Call to `setuptools.build_meta:__legacy__.get_requires_for_build_wheel` failed (exit status: 1)

         [stderr]
         FileNotFoundError: [Errno 2] No such file or directory: '../VERSION'
""",
        "build",
        "the project's own build fails",
    ),
    (
        """\
  × No solution found when resolving dependencies:
  ╰─▶ Because only dns-network<=1.0 is available and you require dns-network==2, we can conclude that your
      requirements are unsatisfiable.
""",
        "no such version",
        "dns-network",
    ),
    ("error: Something new\n  cause: with network, dns and 401 in it\n", "other", "see what uv says"),
    ("warning: the network is slow\n", "other", "see what uv says"),
]


def build_says(printed: str, package: str = "b @ file:///tmp/b") -> str:
    """What uv prints of a build that fails when the backend printed `printed`."""
    said = printed if printed.startswith("\n[") else f"[stderr]\n{printed}"
    lines = "\n".join(f"         {line}" for line in said.strip("\n").splitlines())
    return (
        f"error: Failed to build `{package}`\n  cause: The build backend returned an error\n"
        "  cause: Call to `maturin.build_wheel` failed (exit status: 1)\n\n"
        f"{lines}\n\nhint: Build failures usually indicate a problem with the package or the build environment\n"
    )


BUILDS: list[tuple[str, str, str]] = [
    (
        "Rust",
        "cargo and rustc",
        """
[stdout]
Rust not found, installing into a temporary directory

[stderr]
Computed rustc target triple: x86_64-unknown-linux-gnu
Downloading rustup-init from https://static.rust-lang.org/rustup/dist/x86_64-unknown-linux-gnu/rustup-init
httpx.ConnectError: [Errno -2] Name or service not known
""",
    ),
    (
        "Rust",
        "cargo and rustc",
        """
[stderr]
💥 maturin failed
  Caused by: Cargo metadata failed. Do you have cargo in your PATH?
  Caused by: No such file or directory (os error 2)
Error: command ['maturin', 'pep517', 'build-wheel', '-i', '/b/bin/python'] returned non-zero exit status 1
""",
    ),
    (
        "Rust",
        "cargo and rustc",
        """
[stdout]
running build_rust

[stderr]
error: can't find Rust compiler
To update pip, run:
    pip install --upgrade pip
""",
    ),
    (
        "old Rust",
        "newer Rust",
        """
[stderr]
error: package `pyo3 v0.24.0` cannot be built because it requires rustc 1.63 or newer, while the currently active rustc
💥 maturin failed
""",
    ),
    (
        "crates",
        "fetches crates",
        """
[stderr]
    Updating crates.io index
error: failed to get `pyo3` as a dependency of package `rusty v1.0.0 (/tmp/maturin)`

Caused by:
  download of config.json failed
💥 maturin failed
  Caused by: Cargo metadata failed. Does your crate compile with `cargo build`?
""",
    ),
    (
        "compiler",
        "(C++)",
        """
[stdout]
*** scikit-build-core 1.1.2 using CMake 4.4.5 (wheel)

[stderr]
CMake Error at /b/cmake/data/share/cmake-4.4/Modules/CMakeDetermineCXXCompiler.cmake:47 (message):
  Could not find the compiler specified in the environment variable CXX:

  g++.

CMake Error: CMAKE_CXX_COMPILER not set, after EnableLanguage

*** CMake configuration failed
""",
    ),
    (
        "compiler",
        "(gcc)",
        """
[stdout]
building 'ce' extension
gcc -Wsign-compare -c ce.c -o build/temp.linux-x86_64-cpython-311/ce.o

[stderr]
error: [Errno 2] No such file or directory: 'gcc'
""",
    ),
    ("compiler", "(x86_64-linux-gnu-gcc)", "error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory\n"),
    (
        "compiler",
        "(cc)",
        """
../meson.build:1:0: ERROR: Unknown compiler(s): [['cc'], ['gcc'], ['clang']]
The following exception(s) were encountered:
Running `cc --version` gave "[Errno 2] No such file or directory: 'cc'"
""",
    ),
    ("CMake", "needs CMake", "FileNotFoundError: [Errno 2] No such file or directory: 'cmake'\n"),
    (
        "CMake",
        "needs CMake",
        "scikit_build_core.errors.CMakeNotFoundError: Could not find CMake with version >=3.15\n",
    ),
    ("CMake", "newer one", "CMake 3.26 or higher is required.  You are running version 3.22.1\n"),
    (
        "header",
        "needs libpq-fe.h",
        """
hd.c:1:10: fatal error: libpq-fe.h: No such file or directory
    1 | #include <libpq-fe.h>
      |          ^~~~~~~~~~~~
compilation terminated.
error: command '/usr/bin/gcc' failed with exit code 1
""",
    ),
    (
        "library",
        "library openblasx",
        '../meson.build:2:0: ERROR: Dependency "openblasx" not found (tried pkg-config and cmake)\n',
    ),
    ("program", "runs pg_config", "Error: pg_config executable not found.\n"),
    ("program", "runs go", "/bin/sh: 1: go: not found\n"),
    (
        "git in a build",
        "no git repository",
        """
[stderr]
fatal: not a git repository (or any of the parent directories): .git
Traceback (most recent call last):
subprocess.CalledProcessError: Command '['git', 'describe', '--tags']' returned non-zero exit status 128.
""",
    ),
    ("git in a build", "no git repository", "FileNotFoundError: [Errno 2] No such file or directory: 'git'\n"),
    ("build", "the project's own build fails", "FileNotFoundError: [Errno 2] No such file or directory: 'README.md'\n"),
    ("build", "the project's own build fails", "print('needs cargo, cmake: not found'); raise SystemExit('rustc')\n"),
]
"""What build backends print, with the kind that it is and a word of what to do."""

GIT: list[tuple[str, str]] = [
    ("fatal: unable to access 'https://h.io/dns-tls-403.git/': Could not resolve host: h.io", "no such host"),
    ("fatal: unable to access 'https://h.io/x.git/': The requested URL returned error: 403", "credentials"),
    ("fatal: unable to access 'https://h.io/403.git/': The requested URL returned error: 404", "no such repository"),
    ("fatal: could not read Username for 'https://h.io': terminal prompts disabled", "credentials"),
    ("remote: Invalid username or password.\nfatal: Authentication failed for 'https://h.io/x/'", "credentials"),
    ("remote: Repository not found.\nfatal: repository 'https://h.io/tls/' not found", "no such repository"),
    ("fatal: '/tls/certificate.git' does not appear to be a git repository", "no such repository"),
    ("fatal: repository '/a/b' does not exist", "no such repository"),
    ("Host key verification failed.\nfatal: Could not read from remote repository.", "host key"),
    ("git@h.io: Permission denied (publickey).\nfatal: Could not read from remote repository.", "ssh key"),
    ("ssh: Could not resolve hostname not-found.io: Name or service not known", "no such host"),
    ("ssh: connect to host h.io port 22: Connection refused", "unreachable"),
    ("fatal: unable to access 'https://h.io/': Failed to connect to h.io port 443 after 3 ms: refused", "unreachable"),
    ("warning: Could not find remote branch ssl to clone.\nfatal: Remote branch ssl not found in upstream origin",
     "no such branch"),
    ("fatal: couldn't find remote ref 401", "no such branch"),
    ("fatal: unable to access 'https://h.io/': SSL certificate problem: self-signed certificate", "certificate"),
    ("fatal: unable to access 'https://h.io/': server certificate verification failed. CAfile: none", "certificate"),
    ("fatal: detected dubious ownership in repository at '/srv/ssl.git'", "owner"),
    ("fatal: write error: No space left on device", "full disk"),
    ("fatal: the remote end hung up unexpectedly: tls certificate not found 403", "other"),
]  # fmt: skip
