#include "harness.h"

namespace tfjs_mamba {
namespace {

// A copy of its own: in a graph cudaMemcpyAsync goes to a copy engine, at two thirds of the speed.
__global__ void copyKernel(float4 *to, const float4 *from, size_t count) {
  const size_t stride = static_cast<size_t>(gridDim.x) * blockDim.x;
#pragma unroll 8
  for (size_t i = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride) to[i] = from[i];
}

__global__ void expKernel(float *out, int count) {
  float x[8];
  for (int i = 0; i < 8; ++i) x[i] = -static_cast<float>(threadIdx.x + i) * 1e-3f;
  for (int k = 0; k < count; ++k)
    for (int i = 0; i < 8; ++i) asm volatile("ex2.approx.ftz.f32 %0, %0;" : "+f"(x[i]));
  float sum = 0;
  for (int i = 0; i < 8; ++i) sum += x[i];
  out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

__global__ void productKernel(float *out, int count) {
  float x[8];
  for (int i = 0; i < 8; ++i) x[i] = static_cast<float>(threadIdx.x + i) * 1e-3f;
  for (int k = 0; k < count; ++k)
    for (int i = 0; i < 8; ++i) asm volatile("fma.rn.f32 %0, %0, %0, %0;" : "+f"(x[i]));
  float sum = 0;
  for (int i = 0; i < 8; ++i) sum += x[i];
  out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

}  // namespace

Harness::Harness() {
  cudaDeviceProp device;
  check(cudaGetDeviceProperties(&device, 0));
  multiprocessors = device.multiProcessorCount;
  check(cudaStreamCreate(&stream_));
  std::printf("%s, %d multiprocessors, compute capability %d.%d\n", device.name, multiprocessors, device.major,
              device.minor);
}

void Harness::expect(const std::string &name, const Launch &launch, const std::vector<Output> &outputs) {
  const std::string op = name.substr(0, name.find(' '));
  auto group = std::find_if(groups_.begin(), groups_.end(), [&](const Group &g) { return g.op == op; });
  if (group == groups_.end()) group = groups_.insert(group, Group{op});
  ++group->cases;
  std::vector<Floats> first;
  for (int run = 0; run < 2; ++run) {
    for (const Output &o : outputs) o.got.poison();
    check(cudaDeviceSynchronize());
    check(launch(stream_));
    check(cudaStreamSynchronize(stream_));
    for (size_t i = 0; i < outputs.size(); ++i) {
      const Floats got = outputs[i].got.values();
      if (run == 0) {
        first.push_back(got);
        if (got.size() != outputs[i].want.size()) check("an output and its reference differ in size");
        const double error = got.empty() ? 0 : relativeError(got, outputs[i].want, outputs[i].rounding);
        double &worst = outputs[i].limit == kForward ? group->forward : group->gradients;
        worst = error > worst || std::isnan(error) ? error : worst;
        if (!(error <= outputs[i].limit))
          failures_.push_back(name + ": output " + std::to_string(i) + " is off by " + std::to_string(error));
      } else if (std::memcmp(got.data(), first[i].data(), got.size() * sizeof(float)) != 0) {
        failures_.push_back(name + ": output " + std::to_string(i) + " has other bits the second time");
      }
    }
  }
}

// The median of replays of a graph of launches, for one of them.
double Harness::milliseconds(const Launch &launch) {
  cudaGraph_t graph;
  cudaGraphExec_t ready;
  cudaEvent_t start, stop;
  check(cudaEventCreate(&start)), check(cudaEventCreate(&stop));
  float once;
  for (int i = 0; i < 2; ++i) {
    check(cudaEventRecord(start, stream_));
    check(launch(stream_));
    check(cudaEventRecord(stop, stream_)), check(cudaEventSynchronize(stop));
    check(cudaEventElapsedTime(&once, start, stop));
  }
  const int calls = std::max(1, std::min(24, static_cast<int>(10 / once)));  // about ten milliseconds
  check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
  for (int i = 0; i < calls; ++i) check(launch(stream_));
  check(cudaStreamEndCapture(stream_, &graph));
  check(cudaGraphInstantiate(&ready, graph, 0));
  std::vector<float> times;
  for (int i = 0; i < 14; ++i) {
    check(cudaEventRecord(start, stream_));
    check(cudaGraphLaunch(ready, stream_));
    check(cudaEventRecord(stop, stream_)), check(cudaEventSynchronize(stop));
    float ms;
    check(cudaEventElapsedTime(&ms, start, stop));
    if (i >= 3) times.push_back(ms / calls);
  }
  check(cudaGraphExecDestroy(ready)), check(cudaGraphDestroy(graph));
  check(cudaEventDestroy(start)), check(cudaEventDestroy(stop));
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

void Harness::measureDevice() {
  const size_t bytes = size_t{1} << 30;
  const int blocks = multiprocessors * 16, threads = 256, rounds = 1024;
  DeviceFloats from(bytes / 4), to(bytes / 4);
  const double copy = milliseconds([&](cudaStream_t stream) {
    copyKernel<<<blocks, threads, 0, stream>>>(reinterpret_cast<float4 *>(to.data),
                                               reinterpret_cast<float4 *>(from.data), bytes / sizeof(float4));
    return nullptr;
  });
  const double exps = milliseconds([&](cudaStream_t stream) {
    expKernel<<<blocks, threads, 0, stream>>>(to.data, rounds);
    return nullptr;
  });
  const double products = milliseconds([&](cudaStream_t stream) {
    productKernel<<<blocks, threads, 0, stream>>>(to.data, rounds);
    return nullptr;
  });
  bandwidth_ = 2.0 * bytes / copy / 1e3;
  expRate_ = 8.0 * blocks * threads * rounds / exps / 1e3;
  productRate_ = 8.0 * blocks * threads * rounds / products / 1e3;
}

void Harness::time(const std::string &name, double bytes, double exps, const Launch &launch, double products) {
  timings_.push_back({name, milliseconds(launch) * 1e3, bytes / bandwidth_, exps / expRate_, products / productRate_});
}

bool Harness::report() const {
  for (const std::string &failure : failures_) std::printf("FAIL %s\n", failure.c_str());
  std::printf("\n%-20s %6s %10s %10s\n", "op", "cases", "forward", "gradients");
  for (const Group &g : groups_)
    std::printf("%-20s %6d %10.1e %10.1e\n", g.op.c_str(), g.cases, g.forward, g.gradients);
  if (!timings_.empty()) {
    std::printf("\ncopy %.0f GB/s, exp2 %.0f and multiply-adds %.0f a nanosecond; microseconds a call\n", bandwidth_ / 1e3,
                expRate_ / 1e3, productRate_ / 1e3);
    std::printf("%-52s %10s %10s %10s %10s %8s\n", "", "time", "bytes", "exp", "products", "x floor");
    for (const Timing &t : timings_)
      std::printf("%-52s %10.1f %10.1f %10.1f %10.1f %8.1f\n", t.name.c_str(), t.us, t.bytesUs, t.expsUs, t.productsUs,
                  t.us / std::max({t.bytesUs, t.expsUs, t.productsUs}));
  }
  std::printf("%zu failures\n", failures_.size());
  return failures_.empty();
}

}  // namespace tfjs_mamba
