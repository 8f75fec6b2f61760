"""Every line of the log carries the job that printed it, also when several were handed over at once."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from local_works import Works, bot

from factory_cdk.lifecycle import verbs as factory
from factory_cdk.state.log_folder import LogFolder, read_stream
from factory_cdk.state.logs import Stream


def jobs_and_texts(folder: Path) -> list[tuple[str, str]]:
    lines = [line.split(" ", 2)[2].split(" | ", 1) for line in read_stream(folder)]
    return [(job, text) for job, text in lines]


def test_lines_of_jobs_that_were_handed_over_together_carry_their_own_ids(works: Works) -> None:
    works.write(
        "chatty.py",
        "import sys\n"
        "def chat(job):\n"
        "    print(job.payload)\n"
        "    print(job.payload, file=sys.stderr)\n"
        "    job.log.warning('%s', job.payload)\n",
    )
    works.build(bot("chat", "chatty:chat", batch=10))
    records = works.run("chat", *range(200))
    said = defaultdict(list)
    for line in factory.logs(works.home, "works", "test", "chat"):
        _, _, job, _, text = line.split(" ", 4)
        said[job].append(text)
    assert said == {
        record.job.id: [f"{record.job.payload}"] * 2 + [f"WARNING {record.job.payload}"] for record in records
    }
    assert "\x1e" not in (works.folder().logs / "here.chat.1.log").read_text()


def test_marks_are_taken_out_wherever_the_output_is_cut(tmp_path: Path) -> None:
    whole = b"before\n\x1ej1\x1fone\ntwo\n\x1ej2\x1fthree\n\x1e no mark\nlast"
    expected = [("j1", "before"), ("j1", "one"), ("j1", "two"), ("j2", "three"), ("j2", "\x1e no mark"), ("j2", "last")]
    for cut in range(len(whole)):
        folder = tmp_path / str(cut)
        stream = Stream(LogFolder(folder))
        log = stream.log("here/chat.1")
        for piece in (whole[:cut], whole[cut:]):
            log.write(piece, ["j1", "j2"])
        log.write(b"\n", ["j1", "j2"])
        stream.close()
        assert jobs_and_texts(folder) == expected, cut


def test_what_the_runner_says_ends_the_line_of_the_job_that_it_is_about_and_no_other_s(tmp_path: Path) -> None:
    stream = Stream(LogFolder(tmp_path))
    log = stream.log("here/chat.1")
    log.write(b"\x1ej1\x1fhalf of one", ["j1", "j2"])
    log.say("failed", "ERROR", "j1")
    log.write(b"\x1ej2\x1fhalf of two", ["j2"])
    log.say("failed late", "ERROR", "j1")
    log.write(b", and the rest\n", ["j2"])
    stream.close()
    assert jobs_and_texts(tmp_path) == [
        ("j1", "half of one"),
        ("j1", "ERROR failed"),
        ("j1", "ERROR failed late"),
        ("j2", "half of two, and the rest"),
    ]
    assert log.last_lines("j2") == "half of two, and the rest"
    own = (tmp_path / "here.chat.1.log").read_text().splitlines()
    assert [line.partition("ERROR")[2] or line for line in own] == [
        *("half of one", " failed", "half of two", " failed late", ", and the rest")
    ]


@given(pieces=st.lists(st.binary(max_size=20)))
def test_no_output_is_lost_to_marks(tmp_path_factory: object, pieces: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("marks")  # type: ignore[attr-defined]
    stream = Stream(LogFolder(folder))
    log = stream.log("here/chat.1")
    for piece in pieces:
        log.write(piece.replace(b"\x1f", b"|"), ["j1"])
    log.end()
    stream.close()
    written = folder / "here.chat.1.log"
    text = written.read_bytes() if written.exists() else b""
    sent = b"".join(pieces).replace(b"\x1f", b"|")
    assert text == sent or text == sent + b"\n"


def test_a_mark_of_a_job_that_is_no_longer_in_hand_does_not_count(tmp_path: Path) -> None:
    stream = Stream(LogFolder(tmp_path))
    log = stream.log("here/chat.1")
    log.write(b"\x1ej1\x1fone\n", ["j1"])
    log.write(b"two\n", ["j2"])
    log.write(b"three\n")
    stream.close()
    assert jobs_and_texts(tmp_path) == [("j1", "one"), ("j2", "two"), ("-", "three")]
