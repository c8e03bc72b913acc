// Streams, events and graphs. A stream does its work at once; one that is being captured records it instead, and what
// CUDA forbids in the meantime is an error here, too, and makes the capture invalid.
#include <chrono>
#include <list>

#include "state.h"

struct Event {
  double milliseconds = 0;
  Stream* captured_in = nullptr;
};

static Stream legacy_default, per_thread_default;
static std::list<Stream*> streams{&per_thread_default};

Stream* stream_of(intptr_t handle) {
  if (handle == 0 || handle == 1) return &legacy_default;
  return handle == 2 ? &per_thread_default : reinterpret_cast<Stream*>(handle);
}

static int invalidate_captures(bool strict_only, int status) {
  bool found = false;
  for (Stream* stream : streams) {
    if (!stream->recording || (strict_only && !stream->strict)) continue;
    found = stream->invalid = true;
  }
  if (found) emu_counters.capture_violations++;
  return found ? status : SUCCESS;
}

int forbidden_in_capture() { return invalidate_captures(false, CAPTURE_UNSUPPORTED); }
int forbidden_in_strict_capture() { return invalidate_captures(true, CAPTURE_UNSUPPORTED); }

int submit(intptr_t handle, std::function<int()> work) {
  Stream* stream = stream_of(handle);
  if (stream->recording) {
    stream->recording->nodes.push_back(std::move(work));
    return SUCCESS;
  }
  // The legacy default stream waits for all others, and a stream under capture cannot be waited for.
  if (stream == &legacy_default)
    if (int status = invalidate_captures(false, CAPTURE_IMPLICIT)) return status;
  return work();
}

extern "C" int emu_is_capturing(void* stream) {
  return stream_of(reinterpret_cast<intptr_t>(stream))->recording != nullptr;
}

static intptr_t new_stream(unsigned flags, int priority) {
  auto* stream = new Stream{flags, priority};
  streams.push_back(stream);
  return reinterpret_cast<intptr_t>(stream);
}

static int destroy_stream(intptr_t handle) {
  Stream* stream = stream_of(handle);
  if (stream == &legacy_default || stream == &per_thread_default) return SUCCESS;
  streams.remove(stream);
  delete stream->recording;
  delete stream;
  return SUCCESS;
}

static int synchronize_stream(intptr_t handle) {
  Stream* stream = stream_of(handle);
  if (stream->recording || stream == &legacy_default)
    if (int status = forbidden_in_capture()) return status;
  emu_counters.stream_syncs++;
  return SUCCESS;
}

static int synchronize(std::atomic<long long>& counter) {
  if (int status = forbidden_in_capture()) return status;
  counter++;
  return SUCCESS;
}

static int record_event(intptr_t event, intptr_t handle) {
  auto since_epoch = std::chrono::steady_clock::now().time_since_epoch();
  auto* e = reinterpret_cast<Event*>(event);
  e->milliseconds = std::chrono::duration<double, std::milli>(since_epoch).count();
  e->captured_in = stream_of(handle)->recording ? stream_of(handle) : nullptr;
  emu_counters.event_records++;
  return SUCCESS;
}

// How Cython passes the one optional argument of a function: how many were given, then its value.
struct Option {
  int given;
  int value;
};

static int begin_capture(intptr_t handle, const Option* mode) {
  Stream* stream = stream_of(handle);
  if (stream == &legacy_default) return CAPTURE_UNSUPPORTED;
  if (stream->recording) return ILLEGAL_STATE;
  const int relaxed = 2;
  stream->strict = mode && mode->given && mode->value != relaxed;
  stream->invalid = false;
  stream->recording = new Graph;
  return SUCCESS;
}

static int end_capture(intptr_t handle, intptr_t* graph) {
  Stream* stream = stream_of(handle);
  if (!stream->recording) return ILLEGAL_STATE;
  Graph* recorded = stream->recording;
  stream->recording = nullptr;
  if (stream->invalid) {
    delete recorded;
    return CAPTURE_INVALIDATED;
  }
  *graph = reinterpret_cast<intptr_t>(recorded);
  return SUCCESS;
}

static thread_local bool replaying = false;
extern "C" int emu_replaying() { return replaying; }

static int launch_graph(intptr_t graph, intptr_t stream) {
  if (stream_of(stream)->recording) return NOT_SUPPORTED;  // a graph inside a graph
  return submit(stream, [=] {
    emu_counters.graph_launches++;
    int status = SUCCESS;
    replaying = true;
    for (auto& node : reinterpret_cast<Graph*>(graph)->nodes)
      if ((status = node())) break;
    replaying = false;
    return status;
  });
}

EMU_VALUE(intptr_t, 0, streamCreate, (int), SUCCESS, new_stream(0, 0))
EMU_VALUE(intptr_t, 0, streamCreateWithFlags, (unsigned flags, int), SUCCESS, new_stream(flags, 0))
EMU_VALUE(intptr_t, 0, streamCreateWithPriority, (unsigned flags, int p, int), SUCCESS, new_stream(flags, p))
EMU_VALUE(intptr_t, 0, streamEndCapture, (intptr_t s, int), end_capture(s, &value), value)
EMU_VALUE(int, 0, streamIsCapturing, (intptr_t s, int), SUCCESS, stream_of(s)->recording != nullptr)
EMU_VALUE(int, 0, streamGetPriority, (intptr_t s, int), SUCCESS, stream_of(s)->priority)
EMU_VALUE(unsigned, 0, streamGetFlags, (intptr_t s, int), SUCCESS, stream_of(s)->flags)
EMU_CLEANUP(streamDestroy, (intptr_t s, int), destroy_stream(s))
EMU_CALL(streamSynchronize, (intptr_t s, int), synchronize_stream(s))
EMU_CALL(streamBeginCapture, (intptr_t s, int, const Option* mode), begin_capture(s, mode))
EMU_CALL(deviceSynchronize, (int), synchronize(emu_counters.device_syncs))

EMU_VALUE(intptr_t, 0, eventCreate, (int), SUCCESS, reinterpret_cast<intptr_t>(new Event))
EMU_VALUE(intptr_t, 0, eventCreateWithFlags, (unsigned, int), SUCCESS, reinterpret_cast<intptr_t>(new Event))
EMU_CLEANUP(eventDestroy, (intptr_t e, int), (delete reinterpret_cast<Event*>(e), SUCCESS))
EMU_CALL(eventRecord, (intptr_t e, intptr_t s, int), record_event(e, s))
EMU_CALL(eventSynchronize, (intptr_t, int), synchronize(emu_counters.event_syncs))

EMU_VALUE(intptr_t, 0, graphInstantiate, (intptr_t g, int), SUCCESS,
          reinterpret_cast<intptr_t>(new Graph(*reinterpret_cast<Graph*>(g))))
EMU_CLEANUP(graphDestroy, (intptr_t g, int), (delete reinterpret_cast<Graph*>(g), SUCCESS))
EMU_CLEANUP(graphExecDestroy, (intptr_t g, int), (delete reinterpret_cast<Graph*>(g), SUCCESS))
EMU_CALL(graphLaunch, (intptr_t g, intptr_t s, int), launch_graph(g, s))
EMU_CALL(graphUpload, (intptr_t, intptr_t, int), SUCCESS)

extern "C" {
float emu_eventElapsedTime(intptr_t start, intptr_t end, int) {
  if (raised(emu_fail_status)) return -1;
  return float(reinterpret_cast<Event*>(end)->milliseconds - reinterpret_cast<Event*>(start)->milliseconds);
}
PyObject* emu_streamQuery(intptr_t s, int) {
  if (raised(emu_fail_status) || raised(stream_of(s)->recording ? forbidden_in_capture() : SUCCESS)) return nullptr;
  return PyLong_FromLong(0);
}
PyObject* emu_eventQuery(intptr_t, int) { return PyLong_FromLong(0); }
// Waiting costs nothing where all work is done at once, but it is also how a capture spreads to a second stream.
PyObject* emu_streamWaitEvent(intptr_t stream, intptr_t event, int, const Option*) {
  if (raised(emu_fail_status)) return nullptr;
  Stream* source = reinterpret_cast<Event*>(event)->captured_in;
  if (source && source->recording && source != stream_of(stream)) return refuse("a capture over several streams");
  Py_RETURN_NONE;
}
}
