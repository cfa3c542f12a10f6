from dataclasses import replace

import pytest

from harness import cli
from harness.core.digest import digest
from harness.core.errors import UserError
from harness.core.nested import flatten
from harness.core.search.search import shape_of
from harness.running.config import resolve
from harness.running.options import parse_setting
from harness.running.request import Request


def asked(methods=("iro",), given=(), task="toy", **options):
    return resolve(Request(methods=methods, task=task, given=tuple(given), **options))


def test_base_and_best_of_n_come_along_at_equal_u():
    config = asked(given=[("iro.width", 3), ("iro.successors", 5)])
    assert config.methods == ("base", "base_greedy", "best_of_n", "iro")
    assert config.settings["best_of_n"].n == 15
    assert asked(only=True).methods == ("iro",)


def test_later_sources_win_over_profile_and_defaults():
    config = asked(given=[("iro.width", 3), ("iro.width", 4), ("sampler.temperature", 0.7)])
    assert config.settings["iro"].width == 4
    assert config.settings["iro"].chunk == 1  # the profile's
    assert config.settings["sampler"].temperature == 0.7
    assert asked(limit=7).settings["evaluate"].prompts == 7


def test_a_preset_stands_between_the_profile_and_what_is_given():
    plain, published = asked(), asked(preset="published")
    assert (plain.settings["iro"].keep, published.settings["iro"].keep) == ("rows", "argmax")
    assert (published.settings["iro"].width, published.settings["iro"].chunk) == (4, plain.settings["iro"].chunk)
    assert published.settings["sampler"] == replace(plain.settings["sampler"], temperature=0.7, top_k=50, top_p=1.0)
    assert asked(preset="published", given=[("iro.keep", "all")]).settings["iro"].keep == "all"
    assert "iro" not in asked(methods=["args"], preset="published").settings


def test_a_bare_name_is_taken_where_one_method_has_it():
    assert asked(given=[("width", 5)]).settings["iro"].width == 5
    assert asked(given=[("iro.value.epochs", 3)]).settings["iro"].value.epochs == 3


@pytest.mark.parametrize(
    "options, says",
    [
        ({"methods": ["irp"]}, r"unknown method 'irp'. Did you mean 'iro'\? Valid: all, .*base, .*iro"),
        ({"task": "imbd"}, r"unknown task 'imbd'. Did you mean 'imdb'\?"),
        ({"preset": "publisht"}, r"unknown preset 'publisht'. Did you mean 'published'\?"),
        ({"profile": "quik"}, r"unknown profile of task toy 'quik'. Did you mean 'quick'\?"),
        ({"given": [("iro.widht", 4)]}, r"unknown setting 'iro.widht'. Did you mean 'iro.width'\?"),
        ({"given": [("temperature", 4)]}, r"unknown setting 'temperature'. Did you mean 'sampler.temperature'\?"),
        ({"given": [("irq.width", 4)]}, r"unknown section 'irq'. Did you mean 'iro'\?"),
        ({"given": [("imdb.source", "hub")]}, "belongs to 'imdb', which this run does not use"),
        ({"given": [("iro.width", 0)]}, r"iro.width = 0: input should be greater than or equal to 1"),
        ({"given": [("iro.chunk", 0)]}, "iro.chunk = 0"),
        ({"given": [("iro.width", "wide")]}, "iro.width = 'wide'"),
        ({"given": [("iro.select", "bottom")]}, "iro.select = 'bottom': input should be 'top' or 'resample'"),
        ({"given": [("iro.beta", [1, -1])]}, "iro.beta.1 = -1"),
        ({"given": [("iro.width.deep", 1)]}, "iro.width has no parts"),
        ({"given": [("iro.beta", "low")]}, "iro.beta.0 = 'low': input should be a valid number"),
        ({"given": [("iro.beta", [float("inf"), 1])]}, r"iro.beta = \[inf, 1\]: give a finite number"),
        ({"given": [("iro.width", True)]}, "iro.width = True: give a finite number"),
        ({"given": [("fit.layers", [True])]}, r"fit.layers = \[True\]: give a finite number"),
        ({"given": [("fit.layers", 1)]}, "fit.layers = 1: give a list, in square brackets"),
        ({"given": [("iro.value", 5)]}, "iro.value = 5: it has parts; set those: iro.value.poolings, "),
        ({"given": [("iro.value.stride", 10**24)]}, "iro.value.stride = 10{24}: give a finite number, below 2"),
        ({"given": [("batch.memory_gb", float("inf"))]}, "batch.memory_gb = inf: give a finite number"),
        ({"given": [("cards.target", float("nan"))], "methods": ["cards"]}, "cards.target = nan: give a finite number"),
        (
            {"given": [("cards.longest", 2)], "methods": ["cards"]},
            "no segment has shortest=4 tokens and at most longest=2",
        ),
        ({"given": [("fit.prompts", 0)]}, "fit.prompts = 0"),
        ({"limit": 0}, "--limit 0"),
        ({"limit": -3}, "--limit -3"),
    ],
)
def test_a_mistake_is_named_with_its_value_and_what_would_be_valid(options, says):
    with pytest.raises(UserError, match=says):
        asked(**options)


def test_settings_are_yaml_values():
    assert parse_setting("iro.beta=[1, 2.5]") == ("iro.beta", [1, 2.5])
    assert parse_setting("iro.select=top") == ("iro.select", "top")
    with pytest.raises(UserError, match="write it as name=value"):
        parse_setting("iro.width")
    assert flatten({"iro": {"value": {"epochs": 3}}}) == [("iro.value.epochs", 3)]


def test_a_single_beta_needs_no_list():
    assert asked(given=[("iro.beta", 2)]).settings["iro"].beta == (2.0,)
    assert asked(given=[parse_setting("iro.beta=1e-3")]).settings["iro"].beta == (0.001,)  # a text in YAML 1.1


def test_parts_of_a_setting_may_come_one_by_one_or_together():
    value = asked(given=[("iro.value.epochs", 3), ("iro.value", {"hidden": 5})]).settings["iro"].value
    assert (value.epochs, value.hidden) == (3, 5)


def test_what_was_asked_is_the_same_however_it_was_said():
    assert asked().asked() == asked(given=[("iro.width", 2)]).asked()  # the profile's value, said again
    configs = [asked(), asked(seed=1), asked(limit=5), asked(given=[("iro.chunk", 2)])]
    assert len({digest(config.asked()) for config in configs}) == 4


def test_softness_of_best_of_n_survives_the_choice_of_n():
    config = asked(given=[("best_of_n.tau", 0.3), ("iro.width", 2)])
    assert config.settings["best_of_n"].tau == 0.3
    assert config.settings["best_of_n"].n == 2 * config.settings["iro"].successors


def test_a_profile_names_a_budget_that_every_method_takes():
    quick = asked(methods=("iro", "controlled_decoding"), task="imdb")
    iro, blocks = quick.settings["iro"], quick.settings["controlled_decoding"]
    assert (iro.width, iro.successors, iro.chunk) == (3, 3, 8)
    assert (blocks.successors, blocks.chunk) == (9, 8)
    assert quick.settings["best_of_n"].n == 9


def test_best_of_n_has_the_largest_budget_of_those_beside_it():
    blocks = [("controlled_decoding.mode", "block"), ("controlled_decoding.successors", 64)]
    assert asked(methods=("controlled_decoding",), given=blocks).settings["best_of_n"].n == 64
    assert asked(methods=("iro", "controlled_decoding"), given=blocks).settings["best_of_n"].n == 64
    assert asked(methods=("controlled_decoding",)).settings["best_of_n"].n == 4  # by token: the profile's rows


@pytest.mark.parametrize(
    "rows, shape", [(1, (1, 1)), (7, (1, 7)), (8, (2, 4)), (9, (3, 3)), (12, (3, 4)), (64, (8, 8))]
)
def test_a_budget_is_cut_as_squarely_as_it_divides(rows, shape):
    assert tuple(shape_of(rows).values()) == shape


def test_a_slice_that_a_task_does_not_keep_is_named(place, capsys):
    asked = ["run", "--task", "toy", "--set", "evaluate.slice=reserve", "--limit", "1"]
    assert cli.main(asked) == 2
    assert "task toy has 0 reserve prompts" in capsys.readouterr().err
