import numpy as np

from harness.core.streams import Streams


def test_a_row_draws_the_same_numbers_however_many_rows_there_are():
    streams = Streams(0)
    assert np.array_equal(streams.uniforms("sample", "p", 8, 5)[:3], streams.uniforms("sample", "p", 3, 5))


def test_streams_differ_by_seed_purpose_prompt_and_row():
    firsts = {
        Streams(seed).generator(purpose, prompt, row).random()
        for seed in (0, 1)
        for purpose in ("a", "b")
        for prompt in ("p", "q")
        for row in (0, 1)
    }
    assert len(firsts) == 16
