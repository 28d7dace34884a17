// A device of type GPU for a TensorFlow that was built without CUDA: the first NVIDIA GPU, through TensorFlow's interface
// for pluggable devices and CUDA's runtime. With it the CUDA ops run in TensorFlow where there is no GPU build of it.
//
// It is a Node addon as well: required before tfjs-node, whose binding looks for devices as it is loaded, it registers
// itself with the TensorFlow it is linked to.
//
// Its streams are such as do not wait for CUDA's default one, as TensorFlow's own are. TensorFlow does not tell kernels the
// stream of a pluggable device, so they launch on the default one: the specs find what the ops then do not wait for.
#include <cuda_runtime.h>
#include <dlfcn.h>
#include <node_api.h>

#include <atomic>
#include <mutex>
#include <string>

#include "tensorflow/c/c_api_experimental.h"
#include "tensorflow/c/experimental/stream_executor/stream_executor.h"

struct SP_Timer_st {
  cudaEvent_t start, stop;
};

namespace {

using Memory = SP_DeviceMemoryBase;

std::atomic<int64_t> allocatedBytes{0};

bool check(cudaError_t error, TF_Status *status) {
  if (error == cudaSuccess) return true;
  TF_SetStatus(status, TF_INTERNAL, cudaGetErrorString(error));
  return false;
}

cudaEvent_t asEvent(SP_Event event) { return reinterpret_cast<cudaEvent_t>(event); }
cudaStream_t asStream(SP_Stream stream) { return reinterpret_cast<cudaStream_t>(stream); }

// Memory. TensorFlow's allocator is laid over this one, so it is asked for a few large pieces only.

void allocate(const SP_Device *, uint64_t size, int64_t, Memory *memory) {
  memory->struct_size = SP_DEVICE_MEMORY_BASE_STRUCT_SIZE;
  memory->opaque = nullptr;
  if (cudaMalloc(&memory->opaque, size) != cudaSuccess) return;
  memory->size = size;
  allocatedBytes += static_cast<int64_t>(size);
}
void deallocate(const SP_Device *, Memory *memory) {
  if (!memory->opaque) return;
  cudaFree(memory->opaque);
  allocatedBytes -= static_cast<int64_t>(memory->size);
}
void *allocateHost(const SP_Device *, uint64_t size) {
  void *memory = nullptr;
  return cudaMallocHost(&memory, size) == cudaSuccess ? memory : nullptr;
}
void deallocateHost(const SP_Device *, void *memory) { cudaFreeHost(memory); }
TF_Bool allocatorStats(const SP_Device *, SP_AllocatorStats *) { return false; }
TF_Bool memoryUsage(const SP_Device *, int64_t *free, int64_t *total) {
  size_t freeBytes, totalBytes;
  if (cudaMemGetInfo(&freeBytes, &totalBytes) != cudaSuccess) return false;
  *free = static_cast<int64_t>(freeBytes), *total = static_cast<int64_t>(totalBytes);
  return true;
}

// Copies and fills.

void copy(SP_Stream stream, void *to, const void *from, uint64_t size, TF_Status *status) {
  check(cudaMemcpyAsync(to, from, size, cudaMemcpyDefault, asStream(stream)), status);
}
void copyAndWait(void *to, const void *from, uint64_t size, TF_Status *status) {
  check(cudaMemcpy(to, from, size, cudaMemcpyDefault), status);
}
void toHost(const SP_Device *, SP_Stream stream, void *to, const Memory *from, uint64_t size, TF_Status *status) {
  copy(stream, to, from->opaque, size, status);
}
void toDevice(const SP_Device *, SP_Stream stream, Memory *to, const void *from, uint64_t size, TF_Status *status) {
  copy(stream, to->opaque, from, size, status);
}
void within(const SP_Device *, SP_Stream stream, Memory *to, const Memory *from, uint64_t size, TF_Status *status) {
  copy(stream, to->opaque, from->opaque, size, status);
}
void toHostAndWait(const SP_Device *, void *to, const Memory *from, uint64_t size, TF_Status *status) {
  copyAndWait(to, from->opaque, size, status);
}
void toDeviceAndWait(const SP_Device *, Memory *to, const void *from, uint64_t size, TF_Status *status) {
  copyAndWait(to->opaque, from, size, status);
}
void withinAndWait(const SP_Device *, Memory *to, const Memory *from, uint64_t size, TF_Status *status) {
  copyAndWait(to->opaque, from->opaque, size, status);
}
void fill(const SP_Device *, SP_Stream stream, Memory *memory, uint8_t pattern, uint64_t size, TF_Status *status) {
  check(cudaMemsetAsync(memory->opaque, pattern, size, asStream(stream)), status);
}
void zero(const SP_Device *device, SP_Stream stream, Memory *memory, uint64_t size, TF_Status *status) {
  fill(device, stream, memory, 0, size, status);
}
void fill32(const SP_Device *, SP_Stream, Memory *, uint32_t, uint64_t, TF_Status *status) {
  TF_SetStatus(status, TF_UNIMPLEMENTED, "CUDA's runtime has no fill by words");
}

// Streams and events.

void createStream(const SP_Device *, SP_Stream *stream, TF_Status *status) {
  check(cudaStreamCreateWithFlags(reinterpret_cast<cudaStream_t *>(stream), cudaStreamNonBlocking), status);
}
void destroyStream(const SP_Device *, SP_Stream stream) { cudaStreamDestroy(asStream(stream)); }
void waitForStream(const SP_Device *, SP_Stream dependent, SP_Stream other, TF_Status *status) {
  cudaEvent_t reached;
  if (!check(cudaEventCreateWithFlags(&reached, cudaEventDisableTiming), status)) return;
  if (check(cudaEventRecord(reached, asStream(other)), status))
    check(cudaStreamWaitEvent(asStream(dependent), reached, 0), status);
  cudaEventDestroy(reached);  // once it has been reached
}
void streamStatus(const SP_Device *, SP_Stream, TF_Status *status) { check(cudaGetLastError(), status); }
void createEvent(const SP_Device *, SP_Event *event, TF_Status *status) {
  check(cudaEventCreateWithFlags(reinterpret_cast<cudaEvent_t *>(event), cudaEventDisableTiming), status);
}
void destroyEvent(const SP_Device *, SP_Event event) { cudaEventDestroy(asEvent(event)); }
SE_EventStatus eventStatus(const SP_Device *, SP_Event event) {
  const cudaError_t error = cudaEventQuery(asEvent(event));
  if (error == cudaSuccess) return SE_EVENT_COMPLETE;
  if (error != cudaErrorNotReady) return SE_EVENT_ERROR;
  cudaGetLastError();  // not an error, but recorded as the last one
  return SE_EVENT_PENDING;
}
void recordEvent(const SP_Device *, SP_Stream stream, SP_Event event, TF_Status *status) {
  check(cudaEventRecord(asEvent(event), asStream(stream)), status);
}
void waitForEvent(const SP_Device *, SP_Stream stream, SP_Event event, TF_Status *status) {
  check(cudaStreamWaitEvent(asStream(stream), asEvent(event), 0), status);
}
void blockForEvent(const SP_Device *, SP_Event event, TF_Status *status) {
  check(cudaEventSynchronize(asEvent(event)), status);
}
void blockForStream(const SP_Device *, SP_Stream stream, TF_Status *status) {
  check(cudaStreamSynchronize(asStream(stream)), status);
}
void blockForAll(const SP_Device *, TF_Status *status) { check(cudaDeviceSynchronize(), status); }

struct Callback {
  SE_StatusCallbackFn function;
  void *argument;
};
void runCallback(void *data) {
  Callback *callback = static_cast<Callback *>(data);
  TF_Status *status = TF_NewStatus();
  callback->function(callback->argument, status);
  TF_DeleteStatus(status);
  delete callback;
}
TF_Bool hostCallback(const SP_Device *, SP_Stream stream, SE_StatusCallbackFn function, void *argument) {
  return cudaLaunchHostFunc(asStream(stream), runCallback, new Callback{function, argument}) == cudaSuccess;
}

// Timers.

void createTimer(const SP_Device *, SP_Timer *timer, TF_Status *status) {
  *timer = new SP_Timer_st{};
  if (check(cudaEventCreate(&(*timer)->start), status)) check(cudaEventCreate(&(*timer)->stop), status);
}
void destroyTimer(const SP_Device *, SP_Timer timer) {
  cudaEventDestroy(timer->start), cudaEventDestroy(timer->stop);
  delete timer;
}
void startTimer(const SP_Device *, SP_Stream stream, SP_Timer timer, TF_Status *status) {
  check(cudaEventRecord(timer->start, asStream(stream)), status);
}
void stopTimer(const SP_Device *, SP_Stream stream, SP_Timer timer, TF_Status *status) {
  check(cudaEventRecord(timer->stop, asStream(stream)), status);
}
uint64_t nanoseconds(SP_Timer timer) {
  float milliseconds = 0;
  cudaEventSynchronize(timer->stop);
  cudaEventElapsedTime(&milliseconds, timer->start, timer->stop);
  return static_cast<uint64_t>(milliseconds * 1e6);
}

// The platform.

int devices() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0 ? 1 : 0;
}
void deviceCount(const SP_Platform *, int *count, TF_Status *) { *count = devices(); }
void createDevice(const SP_Platform *, SE_CreateDeviceParams *params, TF_Status *status) {
  static cudaDeviceProp properties;
  if (!check(cudaGetDeviceProperties(&properties, params->ordinal), status)) return;
  params->device->struct_size = SP_DEVICE_STRUCT_SIZE;
  params->device->ordinal = params->ordinal;
  params->device->hardware_name = properties.name;
  params->device->device_vendor = "NVIDIA";
  params->device->pci_bus_id = nullptr;
}
void createStreamExecutor(const SP_Platform *, SE_CreateStreamExecutorParams *params, TF_Status *) {
  SP_StreamExecutor *executor = params->stream_executor;
  *executor = {};
  executor->struct_size = SP_STREAMEXECUTOR_STRUCT_SIZE;
  executor->allocate = allocate, executor->deallocate = deallocate;
  executor->host_memory_allocate = allocateHost, executor->host_memory_deallocate = deallocateHost;
  executor->get_allocator_stats = allocatorStats, executor->device_memory_usage = memoryUsage;
  executor->create_stream = createStream, executor->destroy_stream = destroyStream;
  executor->create_stream_dependency = waitForStream, executor->get_stream_status = streamStatus;
  executor->create_event = createEvent, executor->destroy_event = destroyEvent;
  executor->get_event_status = eventStatus, executor->record_event = recordEvent;
  executor->wait_for_event = waitForEvent, executor->block_host_for_event = blockForEvent;
  executor->block_host_until_done = blockForStream, executor->synchronize_all_activity = blockForAll;
  executor->create_timer = createTimer, executor->destroy_timer = destroyTimer;
  executor->start_timer = startTimer, executor->stop_timer = stopTimer;
  executor->memcpy_dtoh = toHost, executor->memcpy_htod = toDevice, executor->memcpy_dtod = within;
  executor->sync_memcpy_dtoh = toHostAndWait, executor->sync_memcpy_htod = toDeviceAndWait;
  executor->sync_memcpy_dtod = withinAndWait;
  executor->mem_zero = zero, executor->memset = fill, executor->memset32 = fill32;
  executor->host_callback = hostCallback;
}
void createTimerFns(const SP_Platform *, SP_TimerFns *functions, TF_Status *) {
  functions->struct_size = SP_TIMER_FNS_STRUCT_SIZE;
  functions->nanoseconds = nanoseconds;
}
void createDeviceFns(const SP_Platform *, SE_CreateDeviceFnsParams *params, TF_Status *) {
  *params->device_fns = {};
  params->device_fns->struct_size = SP_DEVICE_FNS_STRUCT_SIZE;
}

}  // namespace

// Called by TF_LoadPluggableDeviceLibrary.
extern "C" __attribute__((visibility("default"))) void SE_InitPlugin(SE_PlatformRegistrationParams *params,
                                                                     TF_Status *) {
  params->platform->struct_size = SP_PLATFORM_STRUCT_SIZE;
  params->platform->name = "CUDA_RUNTIME";
  params->platform->type = "GPU";
  params->platform->supports_unified_memory = false;
  params->platform->use_bfc_allocator = true;  // as TensorFlow's own GPU device does
  params->platform->force_memory_growth = true;
  SP_PlatformFns *functions = params->platform_fns;
  functions->struct_size = SP_PLATFORM_FNS_STRUCT_SIZE;
  functions->get_device_count = deviceCount;
  functions->create_device = createDevice;
  functions->destroy_device = [](const SP_Platform *, SP_Device *) {};
  functions->create_device_fns = createDeviceFns;
  functions->destroy_device_fns = [](const SP_Platform *, SP_DeviceFns *) {};
  functions->create_stream_executor = createStreamExecutor;
  functions->destroy_stream_executor = [](const SP_Platform *, SP_StreamExecutor *) {};
  functions->create_timer_fns = createTimerFns;
  functions->destroy_timer_fns = [](const SP_Platform *, SP_TimerFns *) {};
  params->destroy_platform = [](SP_Platform *) {};
  params->destroy_platform_fns = [](SP_PlatformFns *) {};
}

// The addon: registers the device, once in a process, and exports `allocatedBytes()`.
NAPI_MODULE_INIT() {
  static std::once_flag once;
  static std::string problem;
  std::call_once(once, [] {
    Dl_info self;
    dladdr(reinterpret_cast<void *>(&SE_InitPlugin), &self);
    TF_Status *status = TF_NewStatus();
    TF_LoadPluggableDeviceLibrary(self.dli_fname, status);
    if (TF_GetCode(status) != TF_OK) problem = TF_Message(status);
    else if (devices() == 0) problem = "CUDA finds no GPU on this machine";
    TF_DeleteStatus(status);
  });
  if (!problem.empty()) {
    napi_throw_error(env, nullptr, problem.c_str());
    return nullptr;
  }
  napi_value function;
  napi_create_function(
      env, "allocatedBytes", NAPI_AUTO_LENGTH,
      [](napi_env env, napi_callback_info) {
        napi_value value;
        napi_create_int64(env, allocatedBytes, &value);
        return value;
      },
      nullptr, &function);
  napi_set_named_property(env, exports, "allocatedBytes", function);
  return exports;
}
