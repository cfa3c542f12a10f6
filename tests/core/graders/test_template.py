import pytest

from harness.core.errors import UserError
from harness.core.graders.grade import Item
from harness.core.graders.template import Template, Unfilled, namespaces

ROW = {"answer": "4", "meta": {"x": {"y": [1, {"z": True}]}, "two words": "yes"}, "none": None, "part": 0.5}


def filled(template: str, response: str = "It is 4") -> str:
    return Template.of(template, "input").text(namespaces(Item("p", response, ROW)))


@pytest.mark.parametrize(
    "template, text",
    [
        ("no variable { } in { it }}", "no variable { } in { it }}"),
        ("{{ item.answer }}", "4"),
        ("{{item.answer}}={{  item.answer  }}!", "4=4!"),
        ("{{ item.meta.x.y[1].z }}", "true"),
        ('{{ item.meta["two words"] }}', "yes"),
        ("{{ item.meta.x }}", '{"y": [1, {"z": true}]}'),
        ("{{ item.none }} {{ item.part }}", "null 0.5"),
        ("{{ sample.output_text }}", "It is 4"),
        ("{{ sample.choices[0].message.content }}", "It is 4"),
    ],
)
def test_variables_are_filled_in(template, text):
    assert filled(template) == text


def test_an_answer_that_is_json_is_read():
    assert filled("{{ sample.output_json.a.b[0] }}", '{"a": {"b": ["é"]}}') == "é"
    assert filled("{{ sample.output_json }}", " 12 ") == "12"


def test_what_is_filled_in_is_not_filled_in_again():
    assert filled("{{ sample.output_text }}", "{{ item.answer }}") == "{{ item.answer }}"


@pytest.mark.parametrize(
    "template, response, error",
    [
        ("{{ item.other }}", "", "invalid_variable_error"),
        ("{{ item.answer.x }}", "", "invalid_variable_error"),
        ("{{ item.meta.x.y[7] }}", "", "invalid_variable_error"),
        ("{{ sample.output_tools[0].function.name }}", "", "invalid_variable_error"),
        ("{{ sample.output_json.b }}", '{"a": 1}', "invalid_variable_error"),
        ("{{ sample.output_json.a }}", "no JSON", "sample_parse_error"),
        ("{{ sample.output_json }}", "", "sample_parse_error"),
    ],
)
def test_what_a_row_lacks_is_an_error_of_that_row(template, response, error):
    with pytest.raises(Unfilled) as raised:
        filled(template, response)
    assert raised.value.error == error


@pytest.mark.parametrize(
    "template", ["{{ answer }}", "{{ items.answer }}", "{{ item }}", "{{ }}", "{{ item. }}", "{{ item.a + 1 }}",
                 "{{ sample.text }}", "{{ item..a }}", "{{ item.__class__() }}", "{{ item.a | upper }}",
                 "{{ .item.a }}", "{{ item.a", "{{ item.a }} and {{ item.b }"]
)  # fmt: skip
def test_what_is_no_variable_is_refused_when_it_is_loaded(template):
    with pytest.raises(UserError, match=r"^input has"):
        Template.of(template, "input")


def test_reads_names_the_columns():
    assert Template.of("{{ item.a.b }} {{ item.c }} {{ sample.output_text }}", "it").reads == frozenset({"a", "c"})
