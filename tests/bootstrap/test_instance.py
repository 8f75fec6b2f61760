"""The real user-data, run as a real process against real HTTP servers, and what becomes of the instance."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from shlex import quote

import pytest
from bootstrap_cloud import (
    BUCKET,
    FACTS,
    INSTANCE,
    RUNNER,
    RUNNER_FILE,
    SECRETS,
    SESSION_TOKEN,
    Boot,
    Cloud,
    sha256,
    zipped,
)
from patience import PATIENCE

from factory_cdk.bootstrap import render_install
from factory_cdk.plan.model import Platform
from factory_cdk.runner_wheel import runner_wheel

BUNDLE = zipped({"bots.py": b"def bot(): ...\n", "bin/tool": b"#!/bin/sh\n"}, runnable="bin/tool")
PLACE = f"/{BUCKET}/runner/{RUNNER_FILE}"


def test_an_instance_fetches_verifies_installs_and_signals(cloud: Cloud, boot: Boot, root: Path) -> None:
    cloud.release({"my_bot_2": BUNDLE, "my_bot_3": BUNDLE})

    done = boot()

    assert done.returncode == 0, done.stdout
    assert (root / "runner-files" / RUNNER_FILE).read_bytes() == RUNNER
    assert json.loads((root / "release.json").read_text())["bots"]["my_bot_3"]["bundle"]["sha256"] == sha256(BUNDLE)
    assert json.loads((root / "sector.json").read_text()) == FACTS.for_instance()
    [signal] = cloud.signals
    assert signal["Status"] == "SUCCESS"
    assert (signal["Reason"], signal["UniqueId"], signal["Data"]) == ("installed", INSTANCE, "r" * 64)
    assert cloud.signal_types == [None]


def test_bundles_are_left_to_the_agent(cloud: Cloud, boot: Boot, root: Path) -> None:
    """It fetches and checks them itself; what an earlier version unpacked here goes."""
    (root / "bundles/0123/code").mkdir(parents=True)
    cloud.release({"my_bot_2": BUNDLE})
    assert boot().returncode == 0
    assert not [line for line in cloud.log if "/bundles/" in line]
    assert not (root / "bundles").exists()


def test_what_is_there_of_the_runner_is_not_fetched_again_and_what_is_not_its_own_goes(
    cloud: Cloud, boot: Boot, root: Path
) -> None:
    other = {"tool.whl": cloud.put("runner/tool.whl", b"tool")}
    cloud.release({"my_bot_2": BUNDLE}, runner={RUNNER_FILE: cloud.put(f"runner/{RUNNER_FILE}", RUNNER), **other})
    boot()
    (root / "runner-files/tool.whl").write_bytes(b"half of i")
    (root / "runner-files/unpacked").mkdir()
    (root / "runner-files/stray").write_bytes(b"")
    cloud.log.clear()
    cloud.release({"my_bot_2": BUNDLE}, "echo another\n", runner={RUNNER_FILE: cloud.put(PLACE, RUNNER), **other})
    assert boot().returncode == 0
    assert [line for line in cloud.log if "/runner/" in line] == [f"GET /{BUCKET}/runner/tool.whl"]
    assert sorted(path.name for path in (root / "runner-files").iterdir()) == [RUNNER_FILE, "tool.whl"]
    assert (root / "runner-files/tool.whl").read_bytes() == b"tool"


def test_nothing_on_the_instance_is_readable_by_others(cloud: Cloud, boot: Boot, root: Path) -> None:
    cloud.release({"my_bot_2": BUNDLE})
    boot()
    assert [path for path in [root, *root.rglob("*")] if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


@pytest.mark.slow
def test_the_install_script_makes_the_runners_environment_and_claims_no_more(
    cloud: Cloud, boot: Boot, root: Path
) -> None:
    """Without what the runner needs, so that no index is asked: pip installs its wheel by file and hash."""
    wheel = runner_wheel()
    files = {wheel.name: cloud.put(wheel.name, wheel.content), "requirements.txt": cloud.put("requirements.txt", b"")}
    cloud.release({"my_bot_2": BUNDLE}, render_install(wheel.name, wheel.sha256, Platform.LINUX), runner=files)

    for _ in range(2):
        done = boot(patience=PATIENCE, PIP_NO_INDEX="1")
        assert done.returncode == 0, done.stdout
        (root / "settled").unlink()
        (root / "installed.json").unlink()
    version = subprocess.run([root / "runner/bin/python", "-V"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("Python 3.")
    assert done.stdout.count("making ") == 0
    assert "no bot was started" in cloud.signals[0]["Reason"]
    program = "import factory_cdk.runner, sys; print(factory_cdk.runner.__file__)"
    ran = subprocess.run([root / "runner/bin/python", "-I", "-c", program], capture_output=True, text=True, check=True)
    assert Path(ran.stdout.strip()).resolve().is_relative_to(root / f"runner-{wheel.sha256}")


@pytest.mark.slow
def test_a_wheel_of_another_hash_is_not_installed(cloud: Cloud, boot: Boot, root: Path) -> None:
    wheel = runner_wheel()
    files = {wheel.name: cloud.put(wheel.name, wheel.content), "requirements.txt": cloud.put("requirements.txt", b"")}
    cloud.release({"my_bot_2": BUNDLE}, render_install(wheel.name, "0" * 64, Platform.LINUX), runner=files)
    assert boot(patience=PATIENCE, PIP_NO_INDEX="1").returncode != 0
    assert "HASH" in cloud.signals[0]["Reason"].upper()
    assert not (root / "runner").exists()


def test_a_run_that_finds_nothing_new_asks_for_the_parameters_alone(cloud: Cloud, boot: Boot) -> None:
    cloud.release({"my_bot_2": BUNDLE})
    boot()
    cloud.log.clear()
    done = boot()
    assert (done.returncode, done.stdout) == (0, "")
    assert [line for line in cloud.log if "/latest/" not in line] == ["POST /"]


def test_a_signal_that_changes_without_a_reboot_is_answered_without_installing_again(cloud: Cloud, boot: Boot) -> None:
    """What an update does that changes nothing which the instance has to install."""
    cloud.release({"my_bot_2": BUNDLE}, 'echo "$$" >>"$FACTORY_CDK_ROOT/ran"; echo installed\n')
    boot()
    manifest = json.loads(cloud.parameters[FACTS.release_parameter])
    cloud.point_at({"key": manifest["key"], "sha256": manifest["sha256"]}, signal="/signal-of-the-update")
    done = boot()
    assert done.returncode == 0
    assert [signal["Status"] for signal in cloud.signals] == ["SUCCESS", "SUCCESS"]
    assert "installed before" in done.stdout and "step: install" not in done.stdout


def test_that_the_instance_is_up_is_told_before_anything_is_installed(cloud: Cloud, boot: Boot) -> None:
    cloud.release({"my_bot_2": BUNDLE}, "exit 1\n")
    manifest = json.loads(cloud.parameters[FACTS.release_parameter])
    names = {"key": manifest["key"], "sha256": manifest["sha256"]}
    cloud.point_at(names, booted=f"{cloud.url}/signal-booted?X-Amz-Signature=booted")
    boot()
    assert [signal["Status"] for signal in cloud.signals] == ["SUCCESS", "FAILURE"]
    assert cloud.signals[0]["Reason"] == "the instance is up and reads its release"


def test_a_handle_whose_url_has_expired_fails_no_boot_and_old_handles_are_not_told_again(
    cloud: Cloud, boot: Boot
) -> None:
    """After a rollback the parameter names an earlier handle again."""
    cloud.release({"my_bot_2": BUNDLE})
    boot()
    first = cloud.parameters[FACTS.release_parameter]
    manifest = json.loads(first)
    names = {"key": manifest["key"], "sha256": manifest["sha256"]}
    cloud.point_at(names, signal="/signal2")
    boot()
    cloud.parameters[FACTS.release_parameter] = first
    assert boot().returncode == 0
    assert len(cloud.signals) == 2
    cloud.point_at(names, signal="/signal3")
    cloud.faults = {"/signal3": [403] * 1000}
    done = boot()
    assert done.returncode == 0
    assert "its URL has expired" in done.stdout


def test_the_alarm_acts_once_it_is_there_and_the_gate_is_open(cloud: Cloud, boot: Boot) -> None:
    cloud.release({"my_bot_2": BUNDLE})
    manifest = json.loads(cloud.parameters[FACTS.release_parameter])
    cloud.parameters[FACTS.gate_parameter] = "stop"
    cloud.point_at({"key": manifest["key"], "sha256": manifest["sha256"]}, alarm="my alarm")
    assert boot().returncode == 0
    cloud.alarms["my alarm"] = False  # CloudFormation makes it after the signal
    assert boot().returncode == 0
    assert not cloud.alarms["my alarm"], "the gate is closed"
    del cloud.alarms["my alarm"]
    cloud.parameters[FACTS.gate_parameter] = "run"
    assert "not there yet" in boot().stdout
    cloud.alarms["my alarm"] = False
    assert "the alarm acts" in boot().stdout
    assert cloud.alarms["my alarm"]
    assert boot().stdout == ""


def test_the_alarm_does_not_act_while_the_stage_is_stopped(cloud: Cloud, boot: Boot) -> None:
    """An instance whose bots take no jobs idles: that must not end it."""
    cloud.release({"my_bot_2": BUNDLE})
    manifest = json.loads(cloud.parameters[FACTS.release_parameter])
    cloud.point_at({"key": manifest["key"], "sha256": manifest["sha256"]}, alarm="my alarm")
    cloud.alarms["my alarm"] = False
    for gate, acts in (
        (None, True),
        ('{"gate": "stop", "request": "1"}', False),
        ('{"gate": "run", "keep-stopped": false, "request": "2"}', True),
        ("stop", False),
        ("run", True),
    ):
        if gate is not None:
            cloud.parameters[FACTS.gate_parameter] = gate
        assert boot().returncode == 0
        assert cloud.alarms["my alarm"] == acts, gate
        assert boot().stdout == ""
    cloud.parameters[FACTS.gate_parameter] = '{"gate": "perhaps"}'
    assert "the gate is 'perhaps'" in boot().stdout
    assert cloud.alarms["my alarm"], "what cannot be understood changes nothing"

    cloud.release({"my_bot_2": BUNDLE}, "echo broken; exit 1\n")
    broken = json.loads(cloud.parameters[FACTS.release_parameter])
    cloud.point_at({"key": broken["key"], "sha256": broken["sha256"]}, alarm="my alarm")
    cloud.parameters[FACTS.gate_parameter] = "stop"
    boot()
    assert not cloud.alarms["my alarm"], "the release before, which runs on, is stopped"
    cloud.parameters[FACTS.gate_parameter] = "run"
    boot()
    assert not cloud.alarms["my alarm"], "one that could not be installed does not turn it on"


def test_the_log_of_a_failed_boot_is_kept_outside_the_stack(cloud: Cloud, boot: Boot) -> None:
    cloud.release({"my_bot_2": BUNDLE}, "echo broken; exit 1\n", logs={"boot": "/boot.log", "retention": 7})
    boot()
    said = dict(cloud.logs)
    assert [name for name, _ in cloud.logs] == [
        "CreateLogGroup",
        "PutRetentionPolicy",
        "CreateLogStream",
        "PutLogEvents",
    ]
    assert said["PutRetentionPolicy"] == {"logGroupName": "/boot.log", "retentionInDays": 7}
    assert said["CreateLogStream"]["logStreamName"].startswith(f"ec2_box_1/{INSTANCE}/")
    messages = [event["message"] for event in said["PutLogEvents"]["logEvents"]]
    assert "broken" in messages and "step: manifest" in messages


def test_running_twice_converges(cloud: Cloud, boot: Boot, root: Path) -> None:
    cloud.release({"my_bot_2": BUNDLE})
    boot()
    before = {path: path.stat().st_ino for path in (root / "runner-files").rglob("*")}

    done = boot()

    assert done.returncode == 0
    assert before and {path: path.stat().st_ino for path in (root / "runner-files").rglob("*")} == before
    assert cloud.log.count(f"GET {PLACE}") == 1
    assert len(cloud.signals) == 1


def test_a_later_boot_signals_a_new_release_once_more(cloud: Cloud, boot: Boot) -> None:
    cloud.release({"my_bot_2": BUNDLE})
    boot()
    manifest = json.loads(cloud.parameters[FACTS.release_parameter])
    cloud.point_at({"key": manifest["key"], "sha256": manifest["sha256"]}, signal="/signal-of-the-update")

    assert boot().returncode == 0
    assert len(cloud.signals) == 2


def test_an_interrupted_run_leaves_nothing_that_the_next_one_believes(cloud: Cloud, boot: Boot, root: Path) -> None:
    cloud.release({"my_bot_2": BUNDLE})
    (root / "runner-files").mkdir(parents=True)
    (root / "runner-files" / RUNNER_FILE).write_bytes(RUNNER[:7])
    assert boot().returncode == 0
    assert (root / "runner-files" / RUNNER_FILE).read_bytes() == RUNNER


WRONG = {"key": f"runner/{RUNNER_FILE}", "sha256": "0" * 64}
REFUSED = [
    pytest.param({RUNNER_FILE: WRONG}, "has SHA-256", id="another content"),
    pytest.param({RUNNER_FILE: {"key": "runner/no.whl", "sha256": "0" * 64}}, "NoSuchKey", id="missing key"),
    pytest.param({"../escaped": WRONG}, "is no name of a file", id="name that is a path"),
]


@pytest.mark.parametrize(("runner", "why"), REFUSED)
def test_a_file_of_the_runner_that_is_not_right_fails_its_step_and_nothing_is_installed(
    cloud: Cloud, boot: Boot, root: Path, tmp_path: Path, runner: dict[str, dict[str, str]], why: str
) -> None:
    cloud.put(f"runner/{RUNNER_FILE}", RUNNER)
    cloud.release({"my_bot_2": BUNDLE}, 'touch "$FACTORY_CDK_ROOT/ran"\n', runner=runner)

    done = boot()

    assert done.returncode == 1
    [signal] = cloud.signals
    assert signal["Status"] == "FAILURE"
    first = signal["Reason"].splitlines()[0]
    assert first.startswith("step 'runner' failed: ") and why in first
    assert not (root / "release.json").exists() and not (root / "ran").exists()
    assert not list(tmp_path.rglob("escaped*"))


def test_a_bot_that_was_never_packed_fails_the_instance_before_anything_is_fetched(
    cloud: Cloud, boot: Boot, root: Path
) -> None:
    cloud.release({"my_bot_1": BUNDLE, "my_bot_2": None})
    assert boot().returncode == 1
    [signal] = cloud.signals
    first = signal["Reason"].splitlines()[0]
    assert first == "step 'bundle of my_bot_2' failed: the bot has no bundle: it was never packed"
    assert signal["Status"] == "FAILURE" and not (root / "release.json").exists()
    assert not [line for line in cloud.log if "/runner/" in line]


def test_a_wrong_hash_is_named_with_both_hashes(cloud: Cloud, boot: Boot) -> None:
    cloud.put(f"runner/{RUNNER_FILE}", RUNNER)
    cloud.release({"my_bot_2": BUNDLE}, runner={RUNNER_FILE: WRONG})
    boot()
    assert sha256(RUNNER) in cloud.signals[0]["Reason"] and "0" * 64 in cloud.signals[0]["Reason"]


def test_a_manifest_that_was_changed_is_refused(cloud: Cloud, boot: Boot) -> None:
    cloud.release({"my_bot_2": BUNDLE})
    cloud.put("releases/manifest.json", b"{}")
    assert boot().returncode == 1
    assert cloud.signals[0]["Reason"].startswith("step 'manifest' failed: s3://")


def test_a_manifest_of_another_format_is_refused(cloud: Cloud, boot: Boot) -> None:
    cloud.release({}, format=2)
    assert boot().returncode == 1
    assert "format 2, this instance reads 1" in cloud.signals[0]["Reason"]


def test_a_download_that_breaks_off_is_tried_again(cloud: Cloud, boot: Boot) -> None:
    cloud.release({"my_bot_2": BUNDLE})
    cloud.cut[PLACE] = 1
    done = boot(patience=PATIENCE)
    assert done.returncode == 0, done.stdout
    assert cloud.log.count(f"GET {PLACE}") == 2


def test_a_download_that_breaks_off_every_time_is_told(cloud: Cloud, boot: Boot) -> None:
    cloud.release({"my_bot_2": BUNDLE})
    cloud.cut[PLACE] = 1000
    assert boot().returncode == 1
    assert "broke off after" in cloud.signals[0]["Reason"]


def test_a_failing_install_reports_the_end_of_its_log_and_leaves_the_old_release(
    cloud: Cloud, boot: Boot, root: Path
) -> None:
    cloud.release({"my_bot_2": BUNDLE})
    boot()
    old = (root / "release.json").read_text()
    cloud.release(
        {}, 'i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo "línea $i \'\\"$i"; done; echo broken >&2; exit 3\n'
    )
    manifest = json.loads(cloud.parameters[FACTS.release_parameter])
    cloud.point_at({"key": manifest["key"], "sha256": manifest["sha256"]}, signal="/signal2")

    assert boot().returncode == 1

    signal = cloud.signals[-1]
    assert signal["Status"] == "FAILURE"
    assert signal["Reason"].startswith("step 'install' failed: the install script ended with 3\n")
    assert signal["Reason"].endswith("\nbroken")
    assert signal["size"] <= 4096
    assert (root / "release.json").read_text() == old


def test_a_reason_that_is_too_long_loses_its_middle(cloud: Cloud, boot: Boot) -> None:
    cloud.release({}, "i=0; while [ $i -lt 40 ]; do i=$((i+1)); printf '%0300d %d\\n' 0 $i; done; exit 1\n")
    boot()
    [signal] = cloud.signals
    assert signal["size"] <= 4096
    assert signal["Reason"].startswith("step 'install' failed") and signal["Reason"].endswith(" 40")


def test_metadata_without_imdsv2_is_refused(cloud: Cloud, boot: Boot) -> None:
    cloud.imds_v1_only = True
    done = boot()
    assert done.returncode == 1
    assert "step 'instance metadata' failed: instance metadata: OSError: answered 405" in done.stdout
    assert not [line for line in cloud.log if line.startswith("GET")]


def test_a_release_that_is_missing_is_said_where_it_can_be(cloud: Cloud, boot: Boot) -> None:
    done = boot()
    assert done.returncode == 1
    assert "step 'release' failed: " in done.stdout and "ParameterNotFound" in done.stdout
    assert cloud.signals == [], "nobody knows a wait handle"


@pytest.mark.slow
def test_a_young_instance_is_patient_with_every_service(cloud: Cloud, boot: Boot) -> None:
    cloud.release({"my_bot_2": BUNDLE})
    cloud.faults = {
        "/latest/meta-data/iam/security-credentials/": [404],
        "/": [403],
        PLACE: [503],
        "/signal": [500],
    }
    done = boot(patience=PATIENCE)
    assert done.returncode == 0, done.stdout
    assert [signal["Status"] for signal in cloud.signals] == ["SUCCESS"]
    assert done.stdout.count("trying again") == 4


def test_a_wait_handle_that_never_answers_fails_the_run_but_keeps_the_release(
    cloud: Cloud, boot: Boot, root: Path
) -> None:
    cloud.release({"my_bot_2": BUNDLE})
    cloud.faults = {"/signal": [500] * 100}
    done = boot()
    assert done.returncode == 1
    assert "step 'signal' failed: wait handle: OSError: answered 500" in done.stdout
    assert (root / "release.json").exists()
    cloud.faults.clear()
    assert boot().returncode == 0
    assert len(cloud.signals) == 1


def test_a_run_that_takes_too_long_is_ended_and_reported(cloud: Cloud, boot: Boot) -> None:
    """The install script hurries the alarm on, so that the test does not wait for it."""
    cloud.release({}, "kill -ALRM $PPID; exec sleep 600\n")
    assert boot().returncode == 1
    assert cloud.signals[0]["Reason"].startswith("step 'install' failed: not done after 3600 s\n")


def test_credentials_are_in_no_argument_vector_and_no_environment(cloud: Cloud, boot: Boot, root: Path) -> None:
    """The install script looks at every process of the machine while its parent holds the credentials."""
    look = 'for p in /proc/[0-9]*; do cat "$p/cmdline" "$p/environ" 2>/dev/null; done >"$FACTORY_CDK_ROOT/seen"; true\n'
    cloud.release({"my_bot_2": BUNDLE}, look)
    assert boot().returncode == 0
    seen = (root / "seen").read_text(errors="replace")
    assert str(root / "bootstrap.py") in seen and str(root / "first.py") in seen
    assert not [secret for secret in SECRETS if secret in seen]


def test_an_echoed_signature_error_does_not_leak(cloud: Cloud, boot: Boot) -> None:
    """The stand-in echoes the headers of a request with a wrong signature; the boot fixture searches the log."""
    cloud.release({"my_bot_2": BUNDLE})
    done = boot(AWS_ENDPOINT_URL=cloud.url.replace("127.0.0.1", "localhost") + "/.")
    assert "answered 403 SignatureDoesNotMatch" in done.stdout


def test_credentials_that_an_install_script_prints_are_blacked_out(cloud: Cloud, boot: Boot) -> None:
    cloud.release({}, f"echo 'token: {SESSION_TOKEN}'; exit 1\n")
    boot(exempt=frozenset({"install.sh", "install.log"}))
    assert cloud.signals[0]["Reason"].endswith("token: ***")


def real_path_of(name: str) -> str | None:
    """The executable behind `name` on the PATH (a shim may be in front of it), or None when it does not run."""
    found = shutil.which(name)
    asked = found and subprocess.run(
        [found, "-c", "import sys; print(sys.executable)"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() if asked and asked.returncode == 0 else None


def test_python_3_8_is_enough(cloud: Cloud, boot: Boot, tmp_path: Path) -> None:
    oldest = real_path_of("python3.8")
    if not oldest:
        pytest.skip("no Python 3.8 here")
    cloud.release({"my_bot_2": BUNDLE}, '"$FACTORY_CDK_PYTHON" -V\n')
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").symlink_to(oldest)
    assert boot(PATH=f"{tmp_path / 'bin'}:/usr/bin:/bin").returncode == 0
    assert cloud.signals[0]["Reason"].startswith("Python 3.8.")


def only(folder: Path, *names: str) -> str:
    """A PATH on which there are these programs and no others."""
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to(str(shutil.which(name)))
    return str(folder)


def test_an_instance_without_python_and_without_a_package_manager_says_so(boot: Boot, tmp_path: Path) -> None:
    done = boot(PATH=only(tmp_path / "bin", "sh", "mkdir", "cat"))
    assert done.returncode == 1
    assert "there is neither dnf nor apt-get" in done.stdout
    assert "step 'python' failed: no python3 of 3.8 or newer" in done.stdout


def test_an_instance_without_python_installs_it(cloud: Cloud, boot: Boot, tmp_path: Path) -> None:
    cloud.release({"my_bot_2": BUNDLE})
    path = only(tmp_path / "bin", "sh", "mkdir", "cat", "ln")
    apt = tmp_path / "bin/apt-get"
    apt.write_text(f'#!/bin/sh\n[ "$1" = update ] || ln -s {quote(sys.executable)} {tmp_path}/bin/python3\n')
    apt.chmod(0o755)
    done = boot(PATH=path)
    assert done.returncode == 0, done.stdout


SYSTEMCTL = """#!/bin/sh
echo "$*" >>/opt/systemctl.log
[ "$*" != "start factory-cdk.service" ] || exec $(sed -n 's/^ExecStart=//p' "/etc/systemd/system/$2")
"""
MACHINE = """
set -e
for folder in /opt /run /etc/systemd/system; do mount -t tmpfs none "$folder"; done
mkdir -p /run/systemd/system
unset FACTORY_CDK_ROOT
sh "$1" && sh "$1"
cp -r /opt/factory-cdk/. "$2"
cp /opt/systemctl.log /etc/systemd/system/factory-cdk.* "$2"
stat -c %a:%U /opt/factory-cdk /opt/factory-cdk/first.py
"""


def test_under_systemd_a_unit_of_every_boot_is_enabled_and_started(
    cloud: Cloud, boot: Boot, root: Path, tmp_path: Path
) -> None:
    """In a mount namespace with /opt and systemd's folders of its own, and a systemctl that runs the unit's command."""
    namespace = ["unshare", "--mount", "--map-root-user"]
    allowed = subprocess.run([*namespace, "mount", "-t", "tmpfs", "none", "/opt"], check=False, capture_output=True)
    if allowed.returncode:
        pytest.skip("mount namespaces are not allowed here")
    cloud.release({"my_bot_2": BUNDLE})
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/systemctl").write_text(SYSTEMCTL)
    (tmp_path / "bin/systemctl").chmod(0o755)
    (tmp_path / "bin/python3").symlink_to(sys.executable)  # where systemd's unit can name it: there is no space in it
    path = f"{tmp_path / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin"
    root.mkdir()

    done = boot(PATH=path, around=(*namespace, "sh", "-c", MACHINE, "machine", "{}", str(root)))

    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-2:] == ["700:root", "600:root"]
    assert (root / "runner-files" / RUNNER_FILE).is_file()
    unit, timer = "factory-cdk.service", "factory-cdk.timer"
    done_once = ["daemon-reload", f"enable {unit} {timer}", f"start {timer}", f"start {unit}"]
    assert (root / "systemctl.log").read_text().splitlines() == done_once * 2
    assert (
        "\nExecStart=/" in (root / unit).read_text() and "\nWantedBy=multi-user.target\n" in (root / unit).read_text()
    )
    assert len(cloud.signals) == 1
