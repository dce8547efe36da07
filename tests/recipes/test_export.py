"""Finished weights are exported without what training needs."""

import pytest

from core.errors import UserError
from recipes import export


def test_finished_weights_are_parted_from_checkpoints(tmp_path, monkeypatch, capsys):
    trained, recipe = tmp_path / "trained", tmp_path / "recipe.yml"
    (trained / "checkpoint-3").mkdir(parents=True)
    recipe.write_text(f"output_dir: {trained}\n")
    for name in ("config.json", "tokenizer_config.json", "debug.log"):
        (trained / name).write_text("{}")
    monkeypatch.setattr("sys.argv", ["export.py", str(recipe)])
    with pytest.raises(UserError, match="train the recipe to its end first"):
        export.main()
    assert not (tmp_path / "model").exists()
    (trained / "model.safetensors").write_text("one")
    export.main()
    made = {path.name for path in (tmp_path / "model").iterdir()}
    assert made == {"config.json", "tokenizer_config.json", "model.safetensors"}
    assert (tmp_path / "model/model.safetensors").samefile(trained / "model.safetensors")
    export.main()  # again, over what is there
