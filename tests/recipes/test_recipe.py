import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from emovox.errors import RecipeError
from emovox.recipes.recipe import (
    Recipe,
    build_recipe,
    list_recipes,
    load_recipe,
    read_toml_value,
)
from emovox.recipes.settings import (
    AugmentationSettings,
    DataSettings,
    EncoderSettings,
    FrontendSettings,
    HeadSettings,
    HuggingFaceSettings,
    KernelPenalty,
    NetworkSettings,
    RegularizationSettings,
    TrainingSettings,
)


def test_vanilla_is_the_references_first_cnn() -> None:
    recipe = load_recipe("vanilla")
    assert recipe.frontend == FrontendSettings(
        sample_rate_hz=48_000, n_fft=2_048, hop_samples=512, amin=1e-5, top_db=80.0
    )
    assert recipe.network == NetworkSettings(
        conv_channels=(32, 64), kernel_size=3, pool_size=2, dense_units=(128,)
    )
    assert recipe.regularization == RegularizationSettings(
        l1=KernelPenalty(conv=0, dense=0, output=0), l2=KernelPenalty(), dropout=0
    )
    training = recipe.training
    assert (training.optimizer, training.learning_rate) == ("rmsprop", 1e-3)
    assert (training.batch_size, training.epochs) == (32, 50)
    assert (training.schedule, training.early_stopping_patience) == ("constant", 0)


def test_optimized_is_the_references_second_cnn() -> None:
    recipe, vanilla = load_recipe("optimized"), load_recipe("vanilla")
    assert (recipe.frontend, recipe.network) == (vanilla.frontend, vanilla.network)
    assert recipe.regularization.l1 == KernelPenalty()
    assert recipe.regularization.l2 == KernelPenalty(conv=0.01, dense=0.01, output=0)
    assert recipe.regularization.dropout == 0.5
    training = recipe.training
    assert (training.optimizer, training.learning_rate, training.epochs) == ("adam", 1e-3, 50)
    assert (training.schedule, training.plateau_factor) == ("plateau", 0.2)
    assert (training.plateau_patience, training.min_learning_rate) == (3, 1e-6)
    assert training.early_stopping_patience == 5


def test_every_recipe_of_the_package_has_its_files_name() -> None:
    names = list_recipes()
    assert names == sorted(names)
    assert {"vanilla", "optimized"} <= set(names)
    assert [load_recipe(name).name for name in names] == names


def test_changes_apply_in_order_with_toml_values() -> None:
    recipe = load_recipe(
        "vanilla",
        [
            "training.optimizer=sgd",
            'training.optimizer = "adam"',
            "training.learning_rate=3e-4",
            "data.actors=[1, 2]",
            "regularization.l1=1e-4",
            "network.dense_units=[]",
            "seed=0",
            "description=L2 = 0.01, as printed",
        ],
    )
    assert recipe.training.optimizer == "adam"
    assert recipe.training.learning_rate == 3e-4
    assert recipe.data.actors == (1, 2)
    assert recipe.regularization.l1 == KernelPenalty(conv=1e-4, dense=1e-4, output=0)
    assert recipe.network == NetworkSettings(dense_units=())
    assert recipe.seed == 0
    assert recipe.description == "L2 = 0.01, as printed"
    assert load_recipe("vanilla").training.optimizer == "rmsprop"


def test_one_kind_of_layer_changes_alone() -> None:
    kept = load_recipe("optimized", ["regularization.l2.conv=0.5"]).regularization.l2
    assert kept == KernelPenalty(conv=0.5, dense=0.01)
    changes = ["regularization.l2=0.02", "regularization.l2.output=1"]
    spread = load_recipe("vanilla", changes).regularization.l2
    assert spread == KernelPenalty(conv=0.02, dense=0.02, output=1)


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("3.0", 3.0), ("true", True), ("[1, 2]", [1, 2]), ("adam", "adam"), ("", "")],
)
def test_a_word_that_is_no_toml_is_text(text: str, value: object) -> None:
    found = read_toml_value(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.optimiser=adam", "'training.optimiser'; did you mean 'training.optimizer'"),
        ("optimizer=adam", "unknown recipe key 'optimizer'; did you mean 'training.optimizer'"),
        ("regularization.l2.convs=1", "did you mean 'regularization.l2.conv'"),
        ("frontend.hop_sample=1", "did you mean 'frontend.hop_samples'"),
        ("zzz=1", "unknown recipe key 'zzz'; known here: name, description, seed, data"),
    ],
)
def test_unknown_key_is_refused_with_the_nearest(change: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe("vanilla", [change])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("seed", "cannot read 'seed'; expected section.key=value"),
        ("=5", "cannot read '=5'; expected section.key=value"),
        ("training.=1", "cannot read 'training.=1'"),
        ("training=5", "'training'.*found 5"),
        ("frontend=5", "'frontend'.*found 5"),
        ("network=[1]", "'network'.*found \\[1\\]"),
        ("frontend.kind=bark", "'frontend.kind': expected 'image'.*'encoder'.*, found 'bark'"),
        ("frontend.kind=[1]", "'frontend.kind': expected 'image'.*, found \\[1\\]"),
        ("network.kind=rnn", "'network.kind': expected 'cnn' or 'head', found 'rnn'"),
        ("network.kind=5", "'network.kind': expected 'cnn' or 'head', found 5"),
        ("augmentation.copies=2", "augmentation needs frontend kind 'encoder'"),
        ("augmentation.noise=0.6", "augmentation needs frontend kind 'encoder'"),
        ("training.optimizer=adamm", "'sgd', 'rmsprop', 'adam' or 'adamw', found 'adamm'"),
        ("training.schedule=step", "'constant', 'plateau' or 'cosine', found 'step'"),
        ("training.learning_rate=0", "'training.learning_rate'.*greater than 0, found 0"),
        ("training.learning_rate=nan", "'training.learning_rate'.*found nan"),
        ("training.learning_rate=inf", "'training.learning_rate'.*finite number, found inf"),
        ("training.momentum=1", "'training.momentum'.*less than 1, found 1"),
        ("training.weight_decay=-1e-4", "'training.weight_decay'.*greater than or equal to 0"),
        ("training.epochs=0", "'training.epochs'.*greater than 0, found 0"),
        ("training.epochs=1.5", "'training.epochs'.*valid integer, found 1.5"),
        ("training.epochs=many", "'training.epochs'.*valid integer.*found 'many'"),
        ("training.batch_size=-32", "'training.batch_size'.*found -32"),
        ("training.plateau_factor=1", "'training.plateau_factor'.*less than 1"),
        ("training.plateau_patience=0", "'training.plateau_patience'.*greater than 0"),
        ("training.early_stopping_patience=-1", "'training.early_stopping_patience'"),
        ("regularization.dropout=1", "'regularization.dropout'.*less than 1, found 1"),
        ("regularization.dropout=-0.1", "'regularization.dropout'.*found -0.1"),
        ("regularization.l1=-1", "'regularization.l1.conv'.*found -1.0"),
        ("regularization.l2=true", "'regularization.l2'.*found True"),
        ("regularization.l2.output=inf", "'regularization.l2.output'.*found inf"),
        ("network.conv_channels=8", "'network.conv_channels'.*found 8"),
        ("network.conv_channels=[8, 0]", "'network.conv_channels.1'.*found 0"),
        ("network.conv_channels=[8,8,8,8,8]", "5 convolution blocks leave nothing of an image"),
        ("frontend.image_width=9", "2 convolution blocks leave nothing of an image side of 9"),
        ("frontend.n_fft=1000", "n_fft is 1000; expected a power of two from 64 to 65,536"),
        ("frontend.n_fft=32", "n_fft is 32; expected a power of two from 64"),
        ("frontend.hop_samples=2049", "hop_samples 2049 exceeds n_fft 2048"),
        ("frontend.sample_rate_hz=7999", "'frontend.sample_rate_hz'.*8000, found 7999"),
        ("frontend.sample_rate_hz=192001", "'frontend.sample_rate_hz'.*192000, found 192001"),
        ("frontend.scale=bark", "'linear' or 'mel', found 'bark'"),
        ("frontend.amin=0", "'frontend.amin'.*greater than 0"),
        ("frontend.top_db=0", "'frontend.top_db'.*greater than 0"),
        ("data.corpus=klingon", "'data.corpora': no corpus named 'klingon'; known: ravdess, "),
        ("data.corpora=[]", "'data.corpora'.*at least 1"),
        ('data.corpora=["nemo", "nemo"]', "'data.corpora': names a corpus twice"),
        ("data.actors=[0]", "'data.actors.0'.*greater than 0, found 0"),
        ("seed=-1", "'seed'.*found -1"),
        ("seed=4294967296", "'seed'.*less than 4294967296"),
        ("name=../up", "'name'.*pattern.*found '../up'"),
        ("name=", "'name'.*pattern.*found ''"),
        (f"name={'n' * 81}", "'name'.*at most 80"),
        ("training.epochs=100001", "'training.epochs'.*equal to 100000, found 100001"),
        ("training.batch_size=1000000", "'training.batch_size'.*100000"),
        ("training.learning_rate=1e4", "'training.learning_rate'.*1000, found 10000"),
        ("regularization.l2=1e9", "'regularization.l2.conv'.*1000000"),
        ("network.dense_units=[100000]", "'network.dense_units.0'.*16384"),
        (f"network.dense_units={[1] * 17}", "'network.dense_units'.*at most 16 items"),
        ("network.kernel_size=65", "'network.kernel_size'.*64"),
        ("frontend.image_width=2000", "'frontend.image_width'.*1024"),
        ("frontend.n_fft=131072", "'frontend.n_fft'.*100000"),
        ("frontend.top_db=1e5", "'frontend.top_db'.*1000"),
        (f"description={'n' * 10_001}", "'description'.*at most 10000"),
        (f"seed={'9' * 5_000}", r"'seed': .*found '9{199}\.\.\."),
        (f"seed=0x{'f' * 5_000}", "'seed': .*found one too large to show"),
        (f"regularization.l1=0x{'f' * 5_000}", "a number too large to compute with"),
        (f"seed={'[' * 5_000}", "nested too deeply"),
        (f"seed={'[' * 400}{']' * 400}", r"'seed': .*found \[\[.*\.\.\."),
        (f"{'a.' * 5_000}b=1", "unknown recipe key 'a'"),
        ("tune.space={seed={low=1,high=1e13}}", "tune.space.seed.high"),
        ('tune.space={"training.learning_rate"={low=0.1,high=0.2,step=1e-320}}', "does not reach"),
    ],
)
def test_value_out_of_range_is_refused_by_its_key(change: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe("vanilla", [change])


def test_smallest_image_that_two_blocks_leave_something_of() -> None:
    # 10 - 2 = 8, pooled 4; 4 - 2 = 2, pooled 1.
    recipe = load_recipe("vanilla", ["frontend.image_width=10"])
    assert recipe.frontend == FrontendSettings(image_width=10)


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(RecipeError, match=r"no recipe named 'vanila'; known: .*optimized.*vanilla"):
        load_recipe("vanila")


def test_missing_broken_and_nameless_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    with pytest.raises(RecipeError, match=r"mine\.toml: cannot be read"):
        load_recipe(path)
    path.write_text("[training\n")
    with pytest.raises(RecipeError, match=r"mine\.toml: not valid TOML: Expected"):
        load_recipe(path)
    path.write_text("seed = 3\n")
    with pytest.raises(RecipeError, match="'name': Field required"):
        load_recipe(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"seed = {'[' * 5_000}{']' * 5_000}", r"mine\.toml: nested too deeply"),
        (f"seed = {'{a=' * 5_000}1{'}' * 5_000}", r"mine\.toml: nested too deeply"),
        (f"[{'.'.join('a' * 5_000)}]\nb = 1", "unknown recipe key 'a'"),
        (f"[seed.{'.'.join('a' * 5_000)}]\nb = 1", "'seed': Input should be a valid integer"),
        (f"seed = {'9' * 5_000}", r"mine\.toml: not valid TOML: .*4300 digits"),
        (f"{'k' * 100_000} = 1", "unknown recipe key 'k{200}'"),
    ],
)
def test_an_absurd_file_is_refused_in_a_few_words(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'name = "mine"\n{text}\n')
    with pytest.raises(RecipeError, match=message) as found:
        load_recipe(path)
    assert len(str(found.value)) < 600


def test_file_needs_only_a_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n')
    assert load_recipe(path) == Recipe(name="mine")
    assert load_recipe(str(path), ["seed=4"]) == Recipe(name="mine", seed=4)


def test_settings_cannot_be_changed_after_the_check() -> None:
    recipe = load_recipe("vanilla")
    with pytest.raises(ValidationError, match="frozen"):
        recipe.training.epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize("source", ["vanilla", "optimized", "encoder"])
def test_written_file_reads_back(source: str, tmp_path: Path) -> None:
    recipe = load_recipe(source, ["data.actors=[3, 1]"])
    path = tmp_path / "recipe.toml"
    path.write_text(recipe.to_toml(), encoding="utf-8")
    assert load_recipe(path) == recipe


ENCODER = {"name": "x", "frontend": {"kind": "encoder"}, "network": {"kind": "head"}}


def test_encoder_is_a_head_on_the_bundled_encoder() -> None:
    recipe = load_recipe("encoder")
    assert recipe.frontend == EncoderSettings()
    assert recipe.frontend.sample_rate_hz == 16_000
    assert isinstance(recipe.network, HeadSettings)
    assert recipe.augmentation.copies > 0
    assert recipe.training.optimizer == "adamw"
    assert recipe.regularization.l1 == recipe.regularization.l2 == KernelPenalty()


def test_defaults_of_the_encoders_kinds() -> None:
    recipe = build_recipe(ENCODER)
    assert recipe.frontend == EncoderSettings()
    assert recipe.network == HeadSettings(hidden_units=(), members=1, input_dropout=0)
    assert recipe.augmentation == AugmentationSettings(
        copies=0, crop=True, speed=0.15, reverberation=0.3, equalizer=0.4, noise=0.5, codec=0.2
    )


def test_sections_without_a_kind_are_an_image_and_a_cnn() -> None:
    # As files were before there were kinds, and as they still are in old runs and models.
    old = {
        "name": "old",
        "data": {"corpus": "ravdess"},
        "frontend": {"n_fft": 512, "hop_samples": 128},
        "network": {"conv_channels": [4]},
    }
    recipe = build_recipe(old)
    assert recipe.frontend == FrontendSettings(n_fft=512, hop_samples=128)
    assert recipe.network == NetworkSettings(conv_channels=(4,))
    assert (recipe.frontend.kind, recipe.network.kind) == ("image", "cnn")
    named = {"frontend": {"kind": "image", "n_fft": 512, "hop_samples": 128}}
    assert build_recipe(old | named) == recipe


@pytest.mark.parametrize(
    ("source", "changes", "message"),
    [
        (
            "encoder",
            ["frontend.n_fft=512"],
            "'frontend.n_fft' is for another kind of frontend; set",
        ),
        ("encoder", ["frontend.sample_rate_hz=8000"], "is for another kind of frontend"),
        ("encoder", ["network.dense_units=[3]"], "'network.dense_units' is for another kind of"),
        (
            "vanilla",
            ["network.hidden_units=[3]"],
            "is for another kind of network; set network.kind",
        ),
        ("vanilla", ["frontend.kind=encoder"], "is for another kind of frontend"),
        ("encoder", ["network.hiden_units=[]"], "did you mean 'network.hidden_units'"),
        ("encoder", ["augmentation.nois=0"], "did you mean 'augmentation.noise'"),
        # A kind is no part of a key, neither as the user writes it nor as errors do.
        ("vanilla", ["frontend.encoder=3"], "unknown recipe key 'frontend.encoder'"),
        ("encoder", ["network.input_dropout=1"], "key 'network.input_dropout': .*less than 1"),
        ("encoder", ["network.hidden_units=[0]"], "'network.hidden_units.0'.*found 0"),
        ("encoder", ["network.members=0"], "'network.members'.*equal to 1, found 0"),
        ("encoder", ["network.members=65"], "'network.members'.*equal to 64, found 65"),
        (
            "encoder",
            ["frontend.kind=image"],
            "'image' does not fit network kind 'head'; image goes",
        ),
        ("encoder", ["regularization.l2=1"], "l1 and l2 are for network kind 'cnn'; use training"),
        ("encoder", ["regularization.l1.output=1"], "l1 and l2 are for network kind 'cnn'"),
        ("encoder", ["augmentation.copies=65"], "'augmentation.copies'.*equal to 64, found 65"),
        ("encoder", ["augmentation.copies=-1"], "'augmentation.copies'.*found -1"),
        ("encoder", ["augmentation.speed=1"], "'augmentation.speed'.*less than 1, found 1"),
        ("encoder", ["augmentation.noise=1.1"], "'augmentation.noise'.*equal to 1, found 1.1"),
        ("encoder", ["augmentation.codec=-0.1"], "'augmentation.codec'.*found -0.1"),
        ("encoder", ["augmentation.crop=maybe"], "'augmentation.crop'.*found 'maybe'"),
        ("encoder", ["training.schedule=plateau"], "refit leaves no validation clips"),
        ("encoder", ["training.early_stopping_patience=3"], "refit leaves no validation clips"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    source: str, changes: list[str], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(source, changes)


def test_a_name_on_the_hub_is_a_front_end_in_short(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\nfrontend = "hf:facebook/hubert-base-ls960"\n')
    recipe = load_recipe(path)
    assert recipe.frontend == HuggingFaceSettings(name="facebook/hubert-base-ls960")
    # An encoder has a head behind it, without a word.
    assert recipe.network == HeadSettings()
    assert recipe.frontend.sample_rate_hz == 16_000
    path.write_text(recipe.to_toml())
    assert load_recipe(path) == recipe


def test_an_own_encoder_is_set_from_outside() -> None:
    changes = [
        "frontend=hf:./my encoder",
        "frontend.revision=refs/pr/2",
        "frontend.layers=[8, 4, 8]",
    ]
    recipe = load_recipe("encoder", changes)
    assert recipe.frontend == HuggingFaceSettings(
        name="./my encoder", revision="refs/pr/2", layers=(4, 8)
    )
    assert recipe.network == load_recipe("encoder").network
    assert recipe.augmentation == load_recipe("encoder").augmentation


@pytest.mark.parametrize(
    ("source", "changes", "message"),
    [
        ("encoder", ["frontend=hf:"], "'frontend.name': .*at least 1 character"),
        ("encoder", ["frontend.kind=hf"], "'frontend.name'"),
        ("encoder", ["frontend=hf:a", "frontend.layers=[0]"], r"'frontend.layers.0': .*greater"),
        ("encoder", ["frontend=hf:a", "frontend.n_fft=512"], "for another kind of frontend"),
        ("encoder", ["frontend=a/b"], "'a/b' is not a section; .* Hugging Face is 'hf:a/b'"),
        ("vanilla", ["frontend=hf:a"], "'hf' does not fit network kind 'cnn'"),
    ],
)
def test_what_is_no_encoder_is_refused(source: str, changes: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(source, changes)


def test_a_cnn_does_not_fit_the_encoder() -> None:
    with pytest.raises(RecipeError, match="'encoder' does not fit network kind 'cnn'"):
        build_recipe({"name": "x", "frontend": {"kind": "encoder"}, "network": {"kind": "cnn"}})


SMALL = st.integers(1, 400)
WEIGHTS = st.floats(0, 1e6)
SHARES = st.floats(0, 1, exclude_max=True)
PENALTIES = st.builds(KernelPenalty, conv=WEIGHTS, dense=WEIGHTS, output=WEIGHTS)
RECIPES = st.builds(
    Recipe,
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}", fullmatch=True),
    description=st.text(),
    seed=st.integers(0, 2**32 - 1),
    data=st.builds(DataSettings, protocol=st.text(), actors=st.lists(SMALL, max_size=4).map(tuple)),
    frontend=st.builds(
        FrontendSettings,
        sample_rate_hz=st.integers(8_000, 192_000),
        n_fft=st.integers(6, 13).map(lambda power: 2**power),
        hop_samples=st.integers(1, 64),
        scale=st.sampled_from(["linear", "mel"]),
        amin=st.floats(1e-12, 1),
        top_db=st.floats(1e-3, 300),
        image_height=st.integers(32, 256),
        image_width=st.integers(32, 256),
    ),
    network=st.builds(
        NetworkSettings,
        conv_channels=st.lists(SMALL, max_size=3).map(tuple),
        dense_units=st.lists(SMALL, max_size=3).map(tuple),
    ),
    regularization=st.builds(RegularizationSettings, l1=PENALTIES, l2=PENALTIES, dropout=SHARES),
    training=st.builds(
        TrainingSettings,
        optimizer=st.sampled_from(["sgd", "rmsprop", "adam", "adamw"]),
        learning_rate=st.floats(1e-300, 10),
        momentum=SHARES,
        weight_decay=WEIGHTS,
        epochs=SMALL,
        schedule=st.sampled_from(["constant", "plateau", "cosine"]),
        min_learning_rate=WEIGHTS,
        early_stopping_patience=st.integers(0, 99),
    ),
)


HEAD_RECIPES = st.builds(
    Recipe,
    name=st.just("head"),
    frontend=st.just(EncoderSettings()),
    network=st.builds(
        HeadSettings,
        hidden_units=st.lists(SMALL, max_size=3).map(tuple),
        members=st.integers(1, 64),
        input_dropout=SHARES,
    ),
    augmentation=st.builds(
        AugmentationSettings,
        copies=st.integers(0, 64),
        crop=st.booleans(),
        speed=SHARES,
        reverberation=st.floats(0, 1),
        equalizer=st.floats(0, 1),
        noise=st.floats(0, 1),
        codec=st.floats(0, 1),
    ),
    regularization=st.builds(RegularizationSettings, dropout=SHARES),
    training=st.builds(TrainingSettings, label_smoothing=SHARES, refit=st.booleans()),
)


@given(recipe=RECIPES | HEAD_RECIPES)
def test_any_recipe_survives_toml(recipe: Recipe) -> None:
    assert build_recipe(tomllib.loads(recipe.to_toml())) == recipe
