// Functions of CuPy's C table that the emulator does not play: each raises, and says its own name.
#include "state.h"

#define EMU_REFUSE(type, on_error, name) \
  extern "C" type emu_##name() {         \
    refuse("cudaRuntime " #name);        \
    return on_error;                     \
  }
#define EMU_REFUSE_CALL(name) EMU_REFUSE(PyObject*, nullptr, name)
#define EMU_REFUSE_HANDLE(name) EMU_REFUSE(intptr_t, 0, name)

EMU_REFUSE(int, -1, deviceGetByPCIBusId)
EMU_REFUSE_CALL(deviceSetMemPool)
EMU_REFUSE_CALL(_launchHostFuncUnmanaged)
EMU_REFUSE_CALL(launchHostFunc)
EMU_REFUSE_CALL(streamAddCallback)
EMU_REFUSE_CALL(graphDebugDotPrint)
EMU_REFUSE_CALL(memPoolDestroy)
EMU_REFUSE_CALL(memPoolSetAttribute)
EMU_REFUSE_CALL(memPoolGetAttribute)
EMU_REFUSE_CALL(memPoolTrimTo)
EMU_REFUSE_CALL(memcpy2D)
EMU_REFUSE_CALL(memcpy2DAsync)
EMU_REFUSE_CALL(memcpy2DFromArray)
EMU_REFUSE_CALL(memcpy2DFromArrayAsync)
EMU_REFUSE_CALL(memcpy2DToArray)
EMU_REFUSE_CALL(memcpy2DToArrayAsync)
EMU_REFUSE_CALL(memcpy3D)
EMU_REFUSE_CALL(memcpy3DAsync)
EMU_REFUSE_CALL(freeArray)
EMU_REFUSE_CALL(destroySurfaceObject)
EMU_REFUSE_CALL(destroyTextureObject)
EMU_REFUSE_HANDLE(deviceGetDefaultMemPool)
EMU_REFUSE_HANDLE(deviceGetMemPool)
EMU_REFUSE_HANDLE(mallocArray)
EMU_REFUSE_HANDLE(malloc3DArray)
EMU_REFUSE_HANDLE(mallocFromPoolAsync)
EMU_REFUSE_HANDLE(memPoolCreate)
EMU_REFUSE_HANDLE(createSurfaceObject)
EMU_REFUSE_HANDLE(createTextureObject)
