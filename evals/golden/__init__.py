"""Golden sets: published outputs, and the numbers that must come out of them.

Each file here holds ``SETS``, a tuple of `cascade.evals.verify.GoldenSet`; nothing else lists it.
To add a set, add an entry (or a file)::

    SETS = (
        GoldenSet(
            name="zeroeval/gsm/o1-mini-2024-09-12",  # FOLDER/…: `verify zeroeval` runs all of it
            source="WildEval/ZeroEval at 8c1485e, result_dirs/gsm.summary.json",
            files=("zeroeval/gsm/o1-mini-2024-09-12.jsonl.gz",),  # below --data-dir
            measure=Rescore(task="gsm8k", format="zeroeval"),
            expected=(Expected("score", 96.06, within=0.01), Expected("unexplained", 0)),
        ),
    )

``measure`` is any callable ``(data_dir, files) -> {name: number}``; `Rescore` is the one for
outputs that ``cascade-eval rescore`` reads. ``expected`` names those of the numbers that are
checked. Where ours rightly differs from what was published, ``Expected.published`` states that
number and ``Expected.why`` the reason, and `Rescore.differing` lists the rows. ``downloads`` lists
files that may be fetched (`verify --download`), where their licence allows it.
`tests/evals/test_golden.py` runs every set whose data is there.
"""
