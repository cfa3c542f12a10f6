"""ACLSum as a task: passages, references, a proxy that reads them, and a gold of another family."""

import numpy as np
import pytest

from harness.core.files import cache_folder
from harness.core.task import GOLD, NoSettings
from harness.core.types import Completion, Prompt
from harness.tasks.summaries.papers import WORDS, paper_of, plain
from harness.tasks.summaries.task import Meaning, Summaries, prompt_of, rouge_l

ROW = {
    "id": "X01-1",
    "title": "On Parsing",
    "sentences": {
        "abstract": ["We parse ( fast ) .", "It works ."],
        "introduction": ["Parsing is old ."],
        "conclusion": ["We parsed .", " ".join(["word"] * WORDS), "The end ."],
    },
    "summary": {"challenge": "Parsing is slow.", "approach": "They parse fast.", "outcome": "It works."},
}


def test_a_passage_is_title_abstract_and_whole_sentences_of_the_conclusion():
    assert paper_of(ROW).passage == "On Parsing\n\nWe parse (fast). It works. We parsed."


@pytest.mark.parametrize(
    "apart, written",
    [
        ("( Morin et al . , 2007 ) .", "(Morin et al., 2007)."),
        ("a user 's data", "a user's data"),
        ("we do n't lose 50 % [ 1 ] ; so", "we don't lose 50% [1]; so"),
        ("it rises , the 'second part", "it rises, the 'second part"),
    ],
)
def test_tokens_that_stand_apart_are_written_together(apart, written):
    assert plain(apart) == written


def test_a_prompt_has_its_reference_where_graders_look_and_not_in_what_is_asked():
    prompts = [prompt_of(paper_of(ROW), aspect) for aspect in ("challenge", "approach", "outcome")]
    assert len({p.id for p in prompts}) == 3
    for prompt in prompts:
        assert prompt.reference == prompt.row["reference"] == ROW["summary"][prompt.row["aspect"]]
        assert prompt.reference not in prompt.messages[0].content.replace("It works. We parsed.", "")


def answers(*texts: str, reference: str | None = "They parse very fast") -> list[Completion]:
    return [Completion(Prompt("p", text="x", reference=reference), (1,), text, "eos") for text in texts]


def test_the_proxy_is_the_f_measure_of_the_longest_common_subsequence():
    found = rouge_l(answers("they PARSED fast", "nothing", "", "They parse very fast"))
    p, r = 3 / 3, 3 / 4  # parsed and parse have one stem
    assert found == pytest.approx([2 * p * r / (p + r), 0, 0, 1])
    assert np.isnan(rouge_l(answers("fast", reference=None))).all()


class Letters:
    """Embeds a text by how often it has a and b."""

    def __call__(self, texts):
        return np.array([[text.count("a"), text.count("b")] for text in texts], dtype=float)


def test_the_gold_is_the_cosine_of_meanings_and_an_empty_answer_means_nothing():
    found = Meaning(Letters())(answers("aaaa", "b", "ab", " ", reference="a"))
    assert found == pytest.approx([1, 0, 0.5**0.5, 0])
    assert np.isnan(Meaning(Letters())(answers("a", reference=None))).all()


@pytest.mark.slow
def test_real_papers_are_in_three_slices_that_share_none_and_references_score_best():
    task = Summaries(NoSettings(), None, cache_folder())
    parts = {part: task.prompts(part) for part in ("fit", "development", "test")}
    assert {part: len(of) for part, of in parts.items()} == {"fit": 300, "development": 150, "test": 300}
    papers = [{p.row["paper"] for p in of} for of in parts.values()]
    assert [len(of) for of in papers] == [100, 50, 100] and len(set().union(*papers)) == 250
    assert task.prompts("reserve") == []
    first, second = parts["test"][:2]
    completions = [Completion(first, (1,), text, "eos") for text in (first.reference, second.reference, "A cat slept.")]
    for scores in (task.reward()(completions), task.score(completions)[GOLD]):
        assert scores[0] == pytest.approx(1, abs=1e-5) and scores[0] > scores[1] > scores[2] - 0.2
    assert task.describe()["reward_reads"] == ["reference"]
