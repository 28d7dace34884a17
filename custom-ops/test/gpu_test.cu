// Checks every CUDA launcher against the float64 reference and times it against what the device can do: the bytes that
// must move at the bandwidth of a copy, and the exponentials at the rate of a kernel that does nothing else.
// Needs a GPU and no TensorFlow: custom-ops/test/run-gpu.sh builds and runs it.
#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "../src/cuda/launch.h"
#include "reference.h"

using namespace tfjs_mamba;

static void check(const char *error) {
  if (error) std::fprintf(stderr, "CUDA: %s\n", error), std::exit(1);
}
static void check(cudaError_t error) { check(error == cudaSuccess ? nullptr : cudaGetErrorString(error)); }

struct DeviceArray {
  float *data = nullptr;
  size_t size;
  explicit DeviceArray(size_t n) : size(n) {
    check(cudaMalloc(&data, (n + 1) * sizeof(float)));
    check(cudaMemset(data, 0xff, n * sizeof(float)));  // NaN, so that what is not written shows
  }
  explicit DeviceArray(const Floats &v) : DeviceArray(v.size()) {
    if (!v.empty()) check(cudaMemcpy(data, v.data(), v.size() * sizeof(float), cudaMemcpyHostToDevice));
  }
  ~DeviceArray() { cudaFree(data); }
  DeviceArray(const DeviceArray &) = delete;
  Floats read() const {
    Floats v(size);
    check(cudaMemcpy(v.data(), data, size * sizeof(float), cudaMemcpyDeviceToHost));
    return v;
  }
  float *orNull() const { return size ? data : nullptr; }
};

struct DeviceScan {
  DeviceArray u, delta, A, B, C, D, z, bias, initial, dy, dFinal;
  DeviceArray y, finalState, states, du, ddelta, dA, dB, dC, dD, dz, dBias, dInitial;
  ScanForward forward{};
  ScanBackward backward{};
  cuda::Pieces pieces;
  DeviceArray workspace;

  DeviceScan(const ScanCase &c, const ScanData &in, int multiprocessors)
      : u(in.u), delta(in.delta), A(in.A), B(in.B), C(in.C), D(in.D), z(in.z), bias(in.bias), initial(in.initial),
        dy(in.dy), dFinal(in.dFinal), y(in.u.size()), finalState(in.dFinal.size()),
        states(c.batch * cuda::savedStates(c.length) * c.channels * c.states), du(in.u.size()), ddelta(in.u.size()),
        dA(in.A.size()), dB(in.B.size()), dC(in.C.size()), dD(in.D.size()), dz(in.z.size()), dBias(in.bias.size()),
        dInitial(in.initial.size()), pieces(cuda::cutTime(in.problem(c), multiprocessors)),
        workspace(std::max(cuda::scanWorkspace(in.problem(c), pieces), cuda::scanGradWorkspace(in.problem(c), pieces))) {
    ScanProblem p = in.problem(c);
    p.u = u.data, p.delta = delta.data, p.A = A.data, p.B = B.data, p.C = C.data, p.D = D.orNull(), p.z = z.orNull();
    p.deltaBias = bias.orNull(), p.initialState = initial.orNull();
    static_cast<ScanProblem &>(forward) = p;
    static_cast<ScanProblem &>(backward) = p;
    forward.y = y.data, forward.finalState = finalState.data, forward.chunkStates = states.data;
    backward.chunkStates = states.data, backward.dy = dy.data, backward.dFinalState = dFinal.data;
    backward.du = du.data, backward.ddelta = ddelta.data, backward.dA = dA.data, backward.dB = dB.data;
    backward.dC = dC.data, backward.dD = dD.orNull(), backward.dz = dz.orNull(), backward.ddeltaBias = dBias.orNull();
    backward.dInitialState = dInitial.orNull();
  }
  void runForward() { check(cuda::launchSelectiveScan(forward, pieces, workspace.data, nullptr)); }
  void runBackward() { check(cuda::launchSelectiveScanGrad(backward, pieces, workspace.data, nullptr)); }
  Floats everything() {
    Floats all;
    for (const DeviceArray *a : {&y, &finalState, &du, &ddelta, &dA, &dB, &dC, &dD, &dz, &dBias, &dInitial}) {
      const Floats v = a->read();
      all.insert(all.end(), v.begin(), v.end());
    }
    return all;
  }
};

static int failures = 0;

static void testCase(const ScanCase &c, int multiprocessors) {
  const ScanData in(c);
  const ScanTruth want = referenceScan(c, in);
  DeviceScan scan(c, in, multiprocessors);
  scan.runForward(), scan.runBackward();
  check(cudaDeviceSynchronize());
  const Floats once = scan.everything();
  double outputs = 0, gradients = 0;
  const auto worst = [](double &to, const DeviceArray &got, const Doubles &truth) {
    if (got.size) to = std::max(to, relativeError(got.read(), truth));
  };
  worst(outputs, scan.y, want.y), worst(outputs, scan.finalState, want.finalState);
  worst(gradients, scan.du, want.du), worst(gradients, scan.ddelta, want.ddelta), worst(gradients, scan.dA, want.dA);
  worst(gradients, scan.dB, want.dB), worst(gradients, scan.dC, want.dC), worst(gradients, scan.dD, want.dD);
  worst(gradients, scan.dz, want.dz), worst(gradients, scan.dBias, want.dBias);
  worst(gradients, scan.dInitial, want.dInitial);
  scan.runForward(), scan.runBackward();
  check(cudaDeviceSynchronize());
  const Floats again = scan.everything();
  const bool same = std::memcmp(once.data(), again.data(), once.size() * sizeof(float)) == 0;
  const bool ok = outputs <= 2e-5 && gradients <= 5e-5 && same;
  failures += !ok;
  std::printf("%s outputs %.1e gradients %.1e%s  %s, %d pieces\n", ok ? "ok  " : "FAIL", outputs, gradients,
              same ? "" : " NOT REPEATABLE", c.describe().c_str(), static_cast<int>(scan.pieces.count));
}

// Median milliseconds of a call.
static double time(const std::function<void()> &call) {
  cudaEvent_t start, stop;
  cudaEventCreate(&start), cudaEventCreate(&stop);
  std::vector<float> times;
  for (int i = 0; i < 3; ++i) call();
  for (int i = 0; i < 15; ++i) {
    cudaEventRecord(start);
    for (int k = 0; k < 10; ++k) call();
    cudaEventRecord(stop), cudaEventSynchronize(stop);
    float ms;
    cudaEventElapsedTime(&ms, start, stop);
    times.push_back(ms / 10);
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
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

int main(int argc, char **argv) {
  cudaDeviceProp device;
  check(cudaGetDeviceProperties(&device, 0));
  const int multiprocessors = device.multiProcessorCount;
  std::printf("%s, %d multiprocessors, compute capability %d.%d\n", device.name, multiprocessors, device.major, device.minor);
  for (const ScanCase &c : scanCases()) testCase(c, multiprocessors);
  std::printf("%d failed\n", failures);
  if (failures || (argc > 1 && std::strcmp(argv[1], "--no-times") == 0)) return failures != 0;

  const size_t floats = size_t{1} << 28;
  DeviceArray from(floats), to(floats);
  const double copy = time([&] { cudaMemcpyAsync(to.data, from.data, floats * 4, cudaMemcpyDeviceToDevice); });
  const double bandwidth = 2.0 * floats * 4 / copy / 1e6;  // GB/s
  const int blocks = multiprocessors * 16, perThread = 1024;
  const double expTime = time([&] { expKernel<<<blocks, 256>>>(to.data, perThread); });
  const double expRate = static_cast<double>(blocks) * 256 * 8 * perThread / expTime / 1e6;  // per nanosecond
  std::printf("copy %.0f GB/s, exp2 %.0f per ns\n\n", bandwidth, expRate);
  std::printf("%-22s %10s %10s %10s | %10s %10s %10s\n", "[B,L,D,N] with D, z", "forward us", "bytes us", "exp us",
              "backward us", "bytes us", "exp us");
  for (const auto &s : std::vector<std::vector<int64_t>>{
           {1, 1024, 1536, 16}, {1, 4096, 1536, 16}, {8, 2048, 1536, 16}, {4, 4096, 5120, 16}, {64, 128, 512, 16}}) {
    const ScanCase c{s[0], s[1], s[2], s[3], 1, 1, false, false, true, true, true, true, false};
    const ScanData in(c);
    DeviceScan scan(c, in, multiprocessors);
    const double forward = time([&] { scan.runForward(); }), backward = time([&] { scan.runBackward(); });
    const double row = 4.0 * s[0] * s[1] * s[2], states = row / cuda::kSteps * s[3], exps = row / 4 * s[3];
    // Forward: u, delta, z in, y and the saved states out. Backward: these and dy in, du, ddelta, dz out.
    std::printf("[%lld,%lld,%lld,%lld]%*s %10.1f %10.1f %10.1f | %10.1f %10.1f %10.1f\n", (long long)s[0], (long long)s[1],
                (long long)s[2], (long long)s[3], 4, "", forward * 1e3, (4 * row + states) / bandwidth / 1e3,
                exps / expRate / 1e3, backward * 1e3, (7 * row + states) / bandwidth / 1e3, exps / expRate / 1e3);
  }
  return 0;
}
