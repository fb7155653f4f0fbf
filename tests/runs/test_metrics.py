import os
import platform
from pathlib import Path

from emovox.runs.metrics import describe_machine, name_processor


def test_the_processor_is_named_as_the_system_names_it(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Fast 9000 @ 3.1GHz\nmodel name\t: other\n")
    assert name_processor(cpuinfo) == "Fast 9000 @ 3.1GHz"


def test_where_the_system_names_none_the_architecture_stands_for_it(tmp_path: Path) -> None:
    expected = platform.processor() or platform.machine()
    assert name_processor(tmp_path / "missing") == expected
    (tmp_path / "cpuinfo").write_text("BogoMIPS\t: 50.00\n")
    assert name_processor(tmp_path / "cpuinfo") == expected


def test_a_figure_carries_its_machine() -> None:
    machine = describe_machine()
    assert machine["processor"] == name_processor()
    assert f"{os.cpu_count()} cores" in machine["machine"]
