"""Pack what a bare GPU machine lacks into one archive of some 40 MB, which run.py unpacks.

Run as: python3.12 bench/rented_gpu/pack.py --flash-attn \
    flash_attn-2.8.3-cp312-cp312-linux_x86_64.whl

Wheels come from the package index in the versions of requirements.txt. Parts for other GPUs and
programs that no run starts are left out.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# bitsandbytes for other CUDA versions and other makers; wandb's programs; torchao's own kernels
LEFT_OUT = re.compile(
    r"bitsandbytes/libbitsandbytes_(?!cuda130|cpu)\w+\.so|wandb/bin/.+|torchao/_C_.*\.so|"
    r".*/tests?/.*\.(pkl|npz|json)|.*\.pyi?c"
)


def pins(wanted: Path, lock: Path) -> list[str]:
    """NAME==VERSION of each package named in `wanted`, by the lock."""
    found = dict(re.findall(r"(?m)^([\w.-]+)==([^\s;]+)", lock.read_text(encoding="utf-8")))
    names = [line for line in wanted.read_text().splitlines() if line and line[0] != "#"]
    if missing := [name for name in names if name not in found]:
        sys.exit(f"error: {lock}: no {', '.join(missing)}; make lock resolves it anew")
    return [f"{name}=={found[name]}" for name in names]


def main() -> None:
    """Fetch the wheels and write the archive."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--flash-attn", type=Path, metavar="WHEEL", help="one built for the GPU")
    parser.add_argument("--out", type=Path, default=Path("outputs/gpu-packages.zip"))
    args = parser.parse_args()
    if sys.version_info[:2] != (3, 12):
        sys.exit(f"error: {sys.executable}: the GPU machine runs Python 3.12; start this with it")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", place]
        subprocess.run(
            [*command, *pins(HERE / "packages.txt", ROOT / "requirements.txt")], check=True
        )
        wheels = sorted(Path(place).glob("*.whl")) + [args.flash_attn] * bool(args.flash_attn)
        with zipfile.ZipFile(args.out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
            for wheel in wheels:
                with zipfile.ZipFile(wheel) as files:
                    for name in files.namelist():
                        if not LEFT_OUT.fullmatch(name):
                            packed.writestr(name, files.read(name))
    print(f"{args.out}: {len(wheels)} packages, {args.out.stat().st_size / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
