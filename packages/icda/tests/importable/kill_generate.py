"""Generates into FOLDER/parts from FOLDER/data and dies at an answer: python kill_generate.py FOLDER ANSWERS."""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from icda_fakes import FakeGenerator, SilentProgress, write_data

from icda._generate import run_generate
from icda._generate_settings import GenerateSettings
from icda._recipe_data import DataFile, DataSettings
from icda._run_data import load_run_data


def main() -> None:
    folder, answers = Path(sys.argv[1]), int(sys.argv[2])
    paths = write_data(folder / "data")
    data = load_run_data(DataSettings(files={name: DataFile(path=path) for name, path in paths.items()}, test="test"))
    settings = GenerateSettings(
        num_samples=2, num_per_intent=8, requests_per_round=3, max_requests_per_intent=12, block_size=4
    )
    engine = FakeGenerator(on_answer=lambda count: os.kill(os.getpid(), signal.SIGKILL) if count == answers else None)
    run_generate(engine, data, settings, seed=0, output=folder / "parts", progress=SilentProgress())


if __name__ == "__main__":
    main()
