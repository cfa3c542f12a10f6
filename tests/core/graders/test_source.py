"""Which columns a function may read, told from its source alone."""

import pytest

from harness.core.errors import UserError
from harness.core.graders.forms import form_of
from harness.core.graders.source import columns_read, functions_of

ALL = "everything"


def reads(source: str, name: str = "f"):
    function = functions_of(source, "it")[name]
    return columns_read(function, form_of(function.parameters))


@pytest.mark.parametrize(
    "source, expected",
    [
        ("def f(prompt, response): return len(response)", set()),
        ("def f(prompt, response, answer): return answer in response", {"answer"}),
        ("def f(prompt, response, answer): return len(response)", set()),  # named, and never looked at
        ("def f(prompt, response, **row): return row['answer'] in response", {"answer"}),
        ("def f(prompt, response, **row): return len(response)", set()),
        ("def f(prompt, response, **row): return sum(map(len, row.values()))", ALL),
        ("def f(prompt, response, answer): return eval('answer') in response", ALL),
        ("def f(prompt, response, answer): return locals()['answer'] in response", ALL),
        ("@wrapped\ndef f(prompt, response): return 0", ALL),
        ("def f(sample, item): return len(sample['output_text'])", set()),
        (
            "def f(sample, item): return item['reference_answer']['x'] == item.get('key', 0)",
            {"reference_answer", "key"},
        ),
        ("def f(sample, item): return check(item)", ALL),
        ("def f(sample, item): row = item; return row['a']", ALL),
        ("def f(sample, item): return [item[name] for name in 'ab']", ALL),
        ("def f(sample, item): return item.pop('reference_answer')", ALL),
        ("def f(completions, **kwargs): return [len(c) for c in completions]", set()),
        ("def f(prompts, completions, solution, **kwargs): return [1 for s in solution]", {"solution"}),
        ("def f(prompts, completions, **kwargs): return kwargs['solution']", {"solution"}),
        ("def f(completion, answer): return answer in completion", {"answer"}),
        ("def f(completion, info, parser): return info['x']", {"info"}),
        ("def f(completion, state): return state['completion'] and state['answer']", {"answer"}),
        ("def f(completion, state): return judge(state)", ALL),
        ("def f(completion, **kwargs): return kwargs['state']['answer']", ALL),
        ("def f(completions, answers): return [a for a in answers]", {"answer", "answers"}),
        ("def f(solution_str, ground_truth): return ground_truth", {"ground_truth", "reward_model"}),
        ("def f(data_source, solution_str, ground_truth, extra_info=None): return len(solution_str)", set()),
        ("def f(messages, **kwargs): return len(messages)", set()),
        ("def f(messages, ground_truth=None): return ground_truth", {"ground_truth"}),
        ("def f(event, context): return [e['id'] for e in event]", ALL),
        ("def f(output, context): return context['vars']['answer']", {"answer"}),
        ("def f(output, context): return context.get('vars', {}).get('answer')", {"answer"}),
        ("def f(output, context): return len(context['prompt'])", set()),
        ("def f(output, context): return context['test']", ALL),
        ("def f(output, context): return len(output)", set()),
        ("async def f(sample, item): return item['a']", {"a"}),
        ("def f(sample, item, strict=False): return strict", set()),  # no column: OpenAI gives two arguments
        ("def f(solution_str, ground_truth, method='strict'): return method", set()),
    ],
)
def test_reads(source, expected):
    assert reads(source) == (ALL if expected == ALL else frozenset(expected))


def test_labels_of_openrlhf_may_be_any_column_of_answers():
    assert "reference_answer" in reads("def f(queries, prompts, labels): return labels")
    assert reads("def f(queries, prompts, labels): return [len(q) for q in queries]") == frozenset()


def test_functions_are_found_wherever_they_stand_at_the_top():
    source = (
        "if True:\n    def a(x): pass\nelse:\n    async def b(y=1, *, z, **rest): pass\n"
        "c = lambda prompt, response: 0\n"
        "try:\n    pass\nexcept ImportError:\n    def d(): pass\nclass E:\n    def not_this(self): pass\n"
    )
    found = functions_of(source, "it")
    assert list(found) == ["a", "b", "c", "d"]
    assert str(found["b"].parameters) == "(z, y=..., **rest)"


def test_what_is_no_python_is_shown_with_its_line():
    with pytest.raises(UserError, match=r"g.py is no Python: .* in line 2: return \)"):
        functions_of("def f(prompt, response):\n    return )\n", "g.py")
    with pytest.raises(UserError, match="is no Python"):
        functions_of("a\0b", "g.py")
