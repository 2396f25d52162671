"""Compiles kernel texts by an NVRTC from PyPI: `nvrtc.py MAJOR < jobs > results`, both JSON.

A job is {id, text, options}; its result {id, code, log, bytes}: NVRTC's code, its log, and the size of what came out. Where
the job has "keep" and is for PTX, that is in the result as "ptx".
"""

import ctypes
import glob
import json
import os
import sys
import sysconfig


def load(major):
    folder = os.path.join(sysconfig.get_paths()["purelib"], "nvidia", "*", "lib")
    found = glob.glob(os.path.join(folder, f"libnvrtc.so.{major}"))
    if len(found) != 1:
        sys.exit(f"nvrtc.py: {len(found)} libraries libnvrtc.so.{major} under {folder}, expected one")
    # It opens its builtins by name alone; once they are loaded, the name is enough.
    for builtins in glob.glob(os.path.join(os.path.dirname(found[0]), f"libnvrtc-builtins.so.{major}*")):
        ctypes.CDLL(builtins, mode=ctypes.RTLD_GLOBAL)
    return ctypes.CDLL(found[0])


def compiled(nvrtc, job):
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    made = nvrtc.nvrtcCreateProgram(
        ctypes.byref(program), job["text"].encode(), job["id"].encode(), 0, None, None
    )
    if made != 0:
        return {"id": job["id"], "code": made, "log": "no program", "bytes": 0}
    options = [o.encode() for o in job["options"]]
    code = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    size.value = 0
    result = {"id": job["id"], "code": code, "log": log.value.decode(errors="replace")}
    if code == 0:
        # Options name a real architecture (sm_90: machine code) or a virtual one (compute_70: PTX).
        real = any("=sm_" in o for o in job["options"])
        (nvrtc.nvrtcGetCUBINSize if real else nvrtc.nvrtcGetPTXSize)(program, ctypes.byref(size))
        if job.get("keep") and not real:
            ptx = ctypes.create_string_buffer(size.value)
            if nvrtc.nvrtcGetPTX(program, ptx) == 0:
                result["ptx"] = ptx.value.decode()
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return result | {"bytes": size.value}


if __name__ == "__main__":
    library = load(sys.argv[1])
    json.dump([compiled(library, job) for job in json.load(sys.stdin)], sys.stdout)
