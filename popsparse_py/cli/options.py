"""Options that commands share; the texts are what --help shows."""

import typer

M = typer.Option(None, "-m", min=1, help="Rows of W.")
K = typer.Option(None, "-k", min=1, help="Columns of W.")
PLAN_N = typer.Option(..., "-n", min=1, help="Columns of X (the batch).")
RUN_N = typer.Option(128, "-n", min=1, help="Columns of X (the batch).")
BLOCK_SIZE = typer.Option(16, "-b", "--block-size", help="Side of a block: 1, 4, 8 or 16.")
RUN_BLOCK_SIZE = typer.Option(
    None, "-b", "--block-size", help="Side of a block: 1, 4, 8 or 16. Default: that of the file, 16 for a dense weight."
)
DENSITY = typer.Option(None, "-d", "--density", help="Stored blocks / all blocks: 1/16 or 0.0625.")
SPARSITY = typer.Option(None, "--sparsity", help="1 - density: 0.9.")
MASK = typer.Option(None, "--mask", help="Pattern to plan for: an .npz file that BlockPattern.save wrote.")
DTYPE = typer.Option("float16", "--dtype", help="Of W, X and Y: float16 or float32.")
RUN_DTYPE = typer.Option(None, "--dtype", help="Of W, X and Y: float16 or float32. Default: that of the weight.")
PARTIALS_DTYPE = typer.Option(None, "--partials-dtype", help="Of unreduced sums. Default: float32.")
PLAN_MODE = typer.Option(
    "auto", "--mode", help="static, dynamic, dense, or auto: static or dense, whichever is predicted to be faster."
)
RUN_MODE = typer.Option(
    "static", "--mode", help="static: the pattern is known when the program is made; dynamic: it may change after."
)
UPDATE = typer.Option(None, "--update", min=0, help="Other patterns to load into the compiled plan (--mode dynamic).")
STRATEGY = typer.Option(
    None, "--strategy", help="balanced (static) or quantile (dynamic), the defaults; or popsparse: the published one."
)
REPORT_MODE = typer.Option("static", "--mode", help="static, dense, or auto: whichever is predicted to be faster.")
PATTERN_KIND = typer.Option(
    "uniform",
    "--pattern-kind",
    help="uniform, row_balanced, banded, row_skew, col_skew, hot_corner or power_law.",
)
SEED = typer.Option(0, "--seed", min=0, help="Of everything random.")
CHIP = typer.Option("bow", "--target", help="Chip to plan for: bow, mk2 or a TOML file; or cuda, a GPU.")
TARGET = typer.Option(
    "ipu_model", "--target", help="Where to execute: ipu_model, the embedded model of a Bow IPU; cpu, this computer."
)
WEIGHTS = typer.Argument(
    None, metavar="[FILE[:TENSOR]]", show_default=False, help="Weight: .safetensors, .npz, .npy or .mtx."
)
DEMO = typer.Option(False, "--demo", help="A real weight that ships with the package, at b = 16 and density 1/8.")
DATA = typer.Option(None, "--data", help="Folder of measurements instead of those that ship with the package.")
FIT = typer.Option(False, "--fit", help="Fit the model's coefficients again, cross-validated; nothing is written.")
PLOT = typer.Option(None, "--plot", help="SVG file to write: predicted against measured cycles.")
REPORT_RUN = typer.Option(
    False, "--run", help="Execute with random values on the embedded model; report what it counts."
)
HTML = typer.Option(None, "--html", help="Write a page that needs no network.")
JSON_FILE = typer.Option(
    None, "--json", allow_dash=True, help="Write the report as JSON; - prints it and nothing else."
)
TRACE = typer.Option(None, "--trace", help="Write the timeline, gzipped, for ui.perfetto.dev or chrome://tracing.")
SWEEP = typer.Argument(..., metavar="FILE", help="Sweep in TOML, or published: the figures of the published work.")
JOBS = typer.Option(1, "-j", "--jobs", help="Processes that plan at the same time.")
OUT = typer.Option(..., "--out", help="Results to write, one JSON object a line.")
RESUME = typer.Option(False, "--resume", help="Go on with the results of an earlier run, if there are any.")
SWEEP_HTML = typer.Option(None, "--html", help="Write a page with the pictures and all points.")
STRICT = typer.Option(False, "--strict", help="Exit code 1 if something required is missing or in the way.")
JSON = typer.Option(False, "--json", help="Print one JSON object and nothing else.")
QUIET = typer.Option(False, "--quiet", "-q", help="Print the verdict only, and no progress.")
BENCH_M = typer.Option("1024", "-m", help="Rows of W, with commas between several.")
BENCH_K = typer.Option("", "-k", help="Columns of W, likewise. Default: as many as rows.")
BENCH_N = typer.Option("64,256,1024", "-n", help="Columns of X, likewise.")
BENCH_BLOCK_SIZE = typer.Option("1,4,8,16", "-b", "--block-size", help="Sides of a block, likewise.")
BENCH_DENSITY = typer.Option("1/4,1/8,1/16,1/32,1/64", "-d", "--density", help="Stored blocks / all blocks, likewise.")
PRODUCT = typer.Option("forward", "--product", help="forward, transposed, sampled, linear, likewise.")
BENCH_DTYPE = typer.Option(
    "", "--dtype", help="float32, float16, bfloat16, likewise. Default: float32; on cuda bfloat16."
)
AGAINST = typer.Option(
    "",
    "--against",
    help="dense, torch.csr, torch.bsr, scipy.csr, scipy.bsr, mkl.csr, mkl.bsr, sparselab, libxsmm; on cuda "
    "dense, torch_bsr, torch_bsr_tuned, torch_csr, cusparse_csr, cusparse_bsr, cusparse_blocked_ell, cusparselt, "
    "blksprs, stk. "
    "Default: those installed.",
)
SCALING = typer.Option(
    False, "--scaling", help="Time our products on one and on --threads threads in pairs, by wall clock, and no others."
)
BENCH_TARGETS = typer.Option("cpu", "--targets", help="cpu, cuda, with a comma between: where.")
BENCH_THREADS = typer.Option(1, "--threads", min=1, max=1024, help="Of every library; above 1 by wall clock.")
BENCH_SECONDS = typer.Option(0.5, "--seconds", min=0.0, help="For each shape.")
PRUNE_FILE = typer.Argument(..., metavar="FILE", help="Weights: .safetensors.")
PRUNE_BLOCK_SIZE = typer.Option(16, "-b", "--block-size", help="Side of a block.")
CRITERION = typer.Option("l2", "--criterion", help="What makes a block large: its norm l2, l1 or linf.")
INCLUDE = typer.Option(["*"], "--include", help="Matrices to prune, a glob of names; may be given several times.")
EXCLUDE = typer.Option(
    ["*embed*"], "--exclude", help="Matrices to leave as they are, likewise; a lookup is no product."
)
ONLY_IF_FASTER = typer.Option(
    False, "--only-if-faster", help="Leave a matrix dense where its sparse product is predicted to be slower."
)
PRUNE_N = typer.Option(128, "-n", min=1, help="Rows of x that --only-if-faster plans for.")
PRUNE_TARGET = typer.Option("bow", "--target", help="Where it plans: bow, mk2, a TOML file, cuda, or cpu.")
PRUNE_OUT = typer.Option(..., "-o", "--out", help="File to write: .safetensors.")
