import subprocess
import sys

CODE = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ImportError(name + " is not installed")

BLOCKED = set(sys.argv[1].split(","))
sys.meta_path.insert(0, Blocked())
import course_lib.training
print(sorted(BLOCKED & {name.split(".")[0] for name in sys.modules}))
"""
OTHERS = "monai,kornia,papermill,matplotlib,skimage,PIL,tifffile,pooch,psutil,click,ignite"


def test_training_needs_torch_numpy_scipy_pandas_and_safetensors_only(root):
    command = [sys.executable, "-c", CODE, OTHERS]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    assert done.stdout == "[]\n", done.stderr
