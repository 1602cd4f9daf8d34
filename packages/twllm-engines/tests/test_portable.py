"""What a manifest says of an engine holds no path of a machine."""

from hashlib import sha256

from twllm_engines import ReplaySettings, load_engine, portable_identity, portable_settings
from twllm_types import ModelIdentity


def test_portable_settings_of_recorded_answers_name_the_file_and_its_content(tmp_path):
    found = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "answers.jsonl").write_bytes(b"")
        with load_engine(ReplaySettings(file=tmp_path / folder / "answers.jsonl")) as engine:
            found.append(portable_settings(engine))
            assert str(tmp_path) in str(engine.settings["file"])
    assert found[0]["file"] == "answers.jsonl"
    assert found[0]["file_sha256"] == sha256(b"").hexdigest()
    assert found[0] == found[1]


def test_portable_identity_names_a_folder_and_leaves_a_server_alone(tmp_path):
    local = ModelIdentity(spec=f"hf:{tmp_path}", reported_id="later")
    assert portable_identity(local) == ModelIdentity(spec=f"hf:{tmp_path.name}")
    remote = ModelIdentity(spec="openai:m@http://127.0.0.1:1/v1")
    assert portable_identity(remote) == remote
