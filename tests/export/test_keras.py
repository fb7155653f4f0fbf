import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from emovox.errors import ExportError
from emovox.export.keras import export_keras, import_keras, predict_probabilities
from emovox.labels import EMOTIONS
from emovox.recipes.recipe import Recipe, load_recipe
from emovox.recipes.settings import FrontendSettings
from emovox.training.networks import SpectrogramCnn

THREE_BLOCKS = [
    "name=three-blocks+mel",
    "frontend.scale=mel",
    "frontend.image_width=96",
    "network.conv_channels=[4, 6, 5]",
    "network.dense_units=[16, 12]",
    "regularization.l1.conv=1e-3",
    "regularization.l1.output=2e-3",
    "regularization.dropout=0.25",
    "training.optimizer=adamw",
    "training.weight_decay=0.02",
]
RECIPES = [("vanilla", []), ("optimized", []), ("vanilla", THREE_BLOCKS)]


def make_cnn(recipe: Recipe, n_classes: int = 8) -> SpectrogramCnn:
    """Make a network whose biases are not zero, so that a lost bias shows."""
    generator = torch.Generator().manual_seed(3)
    cnn = SpectrogramCnn(recipe, n_classes, generator)
    for layer in (*cnn.conv_layers(), *cnn.linear_layers()):
        assert isinstance(layer.bias, Tensor)
        torch.nn.init.normal_(layer.bias, std=0.3, generator=generator)
    return cnn


def make_images(recipe: Recipe, n: int = 7) -> Tensor:
    frontend = recipe.frontend
    assert isinstance(frontend, FrontendSettings)
    shape = (n, 1, frontend.image_height, frontend.image_width)
    return torch.randn(shape, generator=torch.Generator().manual_seed(4))


def to_keras(images: Tensor) -> Any:
    return np.moveaxis(images.numpy(), 1, 3)


@pytest.mark.parametrize(("source", "changes"), RECIPES)
def test_loaded_files_give_the_networks_probabilities_and_loss(
    source: str, changes: Sequence[str], tmp_path: Path
) -> None:
    recipe = load_recipe(source, changes)
    cnn, images = make_cnn(recipe), make_images(recipe)
    paths = export_keras(cnn, recipe, EMOTIONS, tmp_path / "new", name="net", images=images[:2])
    assert [path.name for path in paths] == ["net_model.keras", "net_model.h5"]
    assert sorted(os.listdir(tmp_path / "new")) == ["net_model.h5", "net_model.keras"]
    assert cnn.training

    expected = predict_probabilities(cnn, images)
    assert np.ptp(expected, axis=0).max() > 0.01  # the images do not all look the same
    classes = np.arange(len(images)) % 8
    entropy = -np.log(expected[np.arange(len(images)), classes]).mean()
    penalty = cnn.kernel_penalty(recipe.regularization).item()
    accuracy = (expected.argmax(1) == classes).mean()
    keras = import_keras()
    for path in paths:
        model = keras.models.load_model(path)
        np.testing.assert_allclose(
            model.predict(to_keras(images), verbose=0), expected, rtol=0, atol=1e-5
        )
        loss, found_accuracy = model.evaluate(to_keras(images), classes, verbose=0)
        assert loss == pytest.approx(entropy + penalty, rel=1e-4)
        assert found_accuracy == pytest.approx(accuracy)


def test_model_is_the_reference_network(tmp_path: Path) -> None:
    recipe = load_recipe("optimized")
    images = make_images(recipe, 1)
    path, _ = export_keras(
        make_cnn(recipe), recipe, EMOTIONS, tmp_path, name="optimized", images=images
    )
    model = import_keras().models.load_model(path)
    assert [type(layer).__name__ for layer in model.layers] == [
        "Conv2D",
        "MaxPooling2D",
        "Conv2D",
        "MaxPooling2D",
        "Flatten",
        "Dense",
        "Dropout",
        "Dense",
    ]
    assert model.input_shape == (None, 64, 64, 1)
    assert model.count_params() == 1_625_608
    regularizers = [
        layer.kernel_regularizer for layer in model.layers if hasattr(layer, "kernel_regularizer")
    ]
    assert [r and float(r.l2) for r in regularizers] == pytest.approx([0.01, 0.01, 0.01, None])
    assert model.get_layer("dropout_1").rate == 0.5
    assert [
        layer.activation.__name__ for layer in model.layers if hasattr(layer, "activation")
    ] == [
        "relu",
        "relu",
        "relu",
        "softmax",
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (["optimizer=sgd", "momentum=0.8"], {"name": "sgd", "momentum": 0.8}),
        (["optimizer=rmsprop"], {"name": "rmsprop", "rho": 0.9, "epsilon": 1e-7}),
        (["optimizer=adam"], {"name": "adam", "beta_2": 0.999, "epsilon": 1e-7}),
        (["optimizer=adamw", "weight_decay=0.03"], {"name": "adamw", "weight_decay": 0.03}),
    ],
)
def test_optimizer_is_the_recipes(
    changes: list[str], expected: dict[str, object], tmp_path: Path
) -> None:
    small = ["network.conv_channels=[2]", "network.dense_units=[]"]
    changes = [f"training.{change}" for change in [*changes, "learning_rate=0.004"]]
    recipe = load_recipe("vanilla", [*small, *changes])
    images = make_images(recipe, 1)
    paths = export_keras(make_cnn(recipe), recipe, EMOTIONS, tmp_path, name="a", images=images)
    for path in paths:
        config = import_keras().models.load_model(path).optimizer.get_config()
        assert config["learning_rate"] == pytest.approx(0.004)
        assert {key: config[key] for key in expected} == expected


def test_labels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    recipe = load_recipe("vanilla")
    cnn, images = make_cnn(recipe), make_images(recipe, 1)
    with pytest.raises(ExportError, match="7 labels for a network with 8 outputs"):
        export_keras(cnn, recipe, EMOTIONS[:7], tmp_path, name="a", images=images)
    with pytest.raises(ExportError, match="no images to check"):
        export_keras(cnn, recipe, EMOTIONS, tmp_path, name="a", images=images[:0])
    assert list(tmp_path.iterdir()) == []


def test_another_networks_recipe_is_refused(tmp_path: Path) -> None:
    recipe = load_recipe("vanilla")
    other = load_recipe("vanilla", ["network.dense_units=[64]"])
    with pytest.raises(ExportError, match="give the recipe that the network was made from"):
        export_keras(
            make_cnn(recipe), other, EMOTIONS, tmp_path, name="a", images=make_images(recipe, 1)
        )
    assert list(tmp_path.iterdir()) == []


def test_difference_over_1e_4_is_refused_and_an_older_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe("vanilla")
    cnn, images = make_cnn(recipe), make_images(recipe, 2)
    (tmp_path / "a_model.h5").write_bytes(b"an older export")
    exact = predict_probabilities(cnn, images)

    def shift_by(amount: float) -> None:
        shifted = exact + np.float32(amount)
        monkeypatch.setattr(
            "emovox.export.keras.predict_probabilities", lambda _cnn, _images: shifted
        )

    shift_by(2e-4)
    with pytest.raises(ExportError, match=r"a_model\.keras: probabilities differ by 0\.0002"):
        export_keras(cnn, recipe, EMOTIONS, tmp_path, name="a", images=images)
    assert [path.name for path in tmp_path.iterdir()] == ["a_model.h5"]
    assert (tmp_path / "a_model.h5").read_bytes() == b"an older export"
    shift_by(5e-5)
    export_keras(cnn, recipe, EMOTIONS, tmp_path, name="a", images=images)
    assert (tmp_path / "a_model.h5").stat().st_size > 6_000_000


def test_damage_to_the_second_file_takes_the_first_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe("vanilla")
    keras = import_keras()
    load_model = keras.models.load_model

    def load_damaged(path: Path) -> Any:
        model = load_model(path)
        if path.suffix == ".h5":
            model.layers[-1].bias.assign(np.arange(8))
        return model

    monkeypatch.setattr(keras.models, "load_model", load_damaged)
    with pytest.raises(ExportError, match=r"a_model\.h5: probabilities differ by"):
        export_keras(
            make_cnn(recipe), recipe, EMOTIONS, tmp_path, name="a", images=make_images(recipe, 2)
        )
    assert list(tmp_path.iterdir()) == []


def test_images_with_nan_prove_nothing(tmp_path: Path) -> None:
    recipe = load_recipe("vanilla")
    images = torch.full((1, 1, 64, 64), torch.nan)
    with pytest.raises(ExportError, match="differ by nan"):
        export_keras(make_cnn(recipe), recipe, EMOTIONS, tmp_path, name="a", images=images)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["keras", "h5py"])
def test_missing_keras_tells_what_to_install(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe("vanilla")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ExportError, match=rf"'{package}'.*pip install 'emovox\[keras\]'"):
        export_keras(
            make_cnn(recipe), recipe, EMOTIONS, tmp_path, name="a", images=make_images(recipe, 1)
        )


def run_python(
    code: str, *arguments: str, python: str = sys.executable, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run code in a fresh interpreter, Keras' settings as a new user has them."""
    inherited = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    return subprocess.run(
        [python, "-c", code, *arguments],
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_keras_backend_is_torch_unless_chosen(tmp_path: Path) -> None:
    code = (
        "import os; from emovox.export.keras import import_keras\n"
        "print(import_keras().backend.backend(), 'KERAS_BACKEND' in os.environ)"
    )
    result = run_python(code, KERAS_HOME=str(tmp_path))
    assert result.stdout == "torch False\n", result.stderr


def test_absent_backend_is_named(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['tensorflow'] = None\n"
        "from emovox.export.keras import import_keras\n"
        "from emovox.errors import ExportError\n"
        "try: import_keras()\n"
        "except ExportError as error: print(error)"
    )
    result = run_python(code, KERAS_HOME=str(tmp_path), KERAS_BACKEND="tensorflow")
    assert result.stdout == (
        "Keras' backend 'tensorflow' needs the package 'tensorflow', which is not installed; "
        "unset KERAS_BACKEND to use PyTorch\n"
    ), result.stderr


LOAD_IN_TENSORFLOW = """
import json, platform, sys
import numpy as np
import tensorflow as tf

inputs = np.load(sys.argv[1])
probabilities, losses = [], []
for path in sys.argv[2:]:
    model = tf.keras.models.load_model(path)
    probabilities.append(model.predict(inputs, verbose=0).tolist())
    losses.append(float(model.evaluate(inputs, np.zeros(len(inputs)), verbose=0)[0]))
print(json.dumps({
    "probabilities": probabilities,
    "losses": losses,
    "backend": tf.keras.backend.backend(),
    "versions": [tf.__version__, tf.keras.__version__, platform.python_version()],
}))
"""


@pytest.mark.tensorflow
@pytest.mark.parametrize(("source", "changes"), RECIPES)
def test_tensorflow_opens_the_files(source: str, changes: Sequence[str], tmp_path: Path) -> None:
    python = os.environ.get("EMOVOX_TENSORFLOW_PYTHON", sys.executable)
    if run_python("import tensorflow", python=python).returncode != 0:
        pytest.skip(f"no TensorFlow in {python}: set EMOVOX_TENSORFLOW_PYTHON to one that has it")
    recipe = load_recipe(source, changes)
    cnn, images = make_cnn(recipe), make_images(recipe)
    paths = export_keras(cnn, recipe, EMOTIONS, tmp_path, name="net", images=images)
    np.save(tmp_path / "images.npy", to_keras(images))
    result = run_python(
        LOAD_IN_TENSORFLOW,
        str(tmp_path / "images.npy"),
        *map(str, paths),
        python=python,
        KERAS_BACKEND="tensorflow",
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["backend"] == "tensorflow"
    expected = predict_probabilities(cnn, images)
    loss = -np.log(expected[:, 0]).mean() + cnn.kernel_penalty(recipe.regularization).item()
    sys.stdout.write(f"TensorFlow, Keras, Python: {found['versions']}\n")
    for probabilities in found["probabilities"]:
        np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-4)
    assert found["losses"] == pytest.approx([loss, loss], rel=1e-4)
