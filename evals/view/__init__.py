"""`cascade-eval view RUN [RUN_B]`: a run as static pages that a browser opens from disk.

The folder holds one page, its style and scripts, and the data as scripts, since a page that was
opened from disk may not fetch files::

    index.html view.css *.js   the page, copied as it is
    data/a.js data/b.js        each run: scores and a compact index of all samples
    data/comparison.js         paired comparison, with two runs
    data/a-TASK-PART.js        transcripts, about half a megabyte each, loaded when needed
"""

from cascade.evals.view.build import build_view

__all__ = ["build_view"]
