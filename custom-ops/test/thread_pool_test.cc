// Tasks that throw, and memory that is not to be had: the caller gets the error, no sooner than the other tasks are done
// with its variables, and the pool and the scratch memory serve the next call.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../src/cpu/kernels.h"
#include "../src/cpu/thread_pool.h"

// The aligned form of new is what Scratch asks: here it can be made to fail, for every thread or for all but one.
static std::atomic<bool> refuse{false};
static std::thread::id spared;

void *operator new[](size_t size, std::align_val_t alignment) {
  if (refuse && std::this_thread::get_id() != spared) throw std::bad_alloc();
  const size_t unit = static_cast<size_t>(alignment);
  if (void *p = std::aligned_alloc(unit, (size + unit - 1) / unit * unit)) return p;
  throw std::bad_alloc();
}
void operator delete[](void *p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void *p, size_t, std::align_val_t) noexcept { std::free(p); }

using namespace tfjs_mamba;

static int failures = 0;

static void expect(bool ok, const std::string &what) {
  std::printf("%s %s\n", ok ? "ok  " : "FAIL", what.c_str());
  failures += !ok;
}

template <typename Task>
static void parallel(int64_t tasks, const Task &task) {
  runTasks(
      tasks, [](void *context, int64_t i) { (*static_cast<const Task *>(context))(i); },
      const_cast<void *>(static_cast<const void *>(&task)));
}

// What the call throws, or nothing.
template <typename Call>
static std::string thrown(const Call &call) {
  try {
    call();
  } catch (const std::bad_alloc &) {
    return "bad_alloc";
  } catch (const std::exception &error) {
    return error.what();
  }
  return "";
}

// Two tasks at once on two threads: the one on the caller's thread, or else the other, throws at once; that which does not
// goes on for a while with a variable of the caller.
static void throwOn(bool caller) {
  const std::thread::id self = std::this_thread::get_id();
  std::atomic<int> begun{0};
  std::atomic<bool> finished{false};
  bool finishedAtUnwinding = false;
  struct Guard {
    std::atomic<bool> &finished;
    bool &at;
    ~Guard() { at = finished; }
  };
  const std::string error = thrown([&] {
    const Guard guard{finished, finishedAtUnwinding};
    parallel(2, [&](int64_t) {
      ++begun;
      while (begun < 2) std::this_thread::yield();
      if ((std::this_thread::get_id() == self) == caller) throw std::runtime_error("of the task");
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      finished = true;
    });
  });
  const std::string where = caller ? " on the caller's thread" : " on a worker";
  expect(error == "of the task", "the call throws what a task threw" + where);
  expect(finishedAtUnwinding, "and not before the other task is done");
}

static bool allRun(int64_t tasks) {
  std::vector<std::atomic<int>> runs(tasks);
  parallel(tasks, [&](int64_t i) { ++runs[i]; });
  for (const auto &count : runs)
    if (count != 1) return false;
  return true;
}

int main() {
  setThreadCount(2);
  for (int round = 0; round < 20; ++round) throwOn(round % 2 == 0);
  expect(allRun(1000), "the next call runs every task once");
  expect(thrown([] {
           parallel(2, [](int64_t) { parallel(2, [](int64_t) { throw std::bad_alloc(); }); });
         }) == "bad_alloc",
         "what a task within a task throws arrives");
  expect(thrown([] { parallel(100, [](int64_t i) { throw std::runtime_error(std::to_string(i)); }); }) != "",
         "one error arrives where every task throws");
  setThreadCount(1);
  expect(thrown([] { parallel(2, [](int64_t) { throw std::bad_alloc(); }); }) == "bad_alloc", "with one thread too");

  // A kernel whose workers find no memory. Its tasks do not wait for each other, so a worker may come too late for one.
  setThreadCount(3);
  const int64_t batch = 8, length = 4096, channels = 64, taps = 4;
  const std::vector<float> x(batch * length * channels, 1.0f), weight(channels * taps, 0.25f);
  std::vector<float> y(x.size()), state(batch * (taps - 1) * channels);
  ConvForward conv{};
  conv.batch = batch, conv.length = length, conv.channels = channels, conv.taps = taps;
  conv.x = x.data(), conv.weight = weight.data(), conv.y = y.data(), conv.finalState = state.data();
  spared = std::this_thread::get_id(), refuse = true;
  std::string error;
  for (int tries = 0; tries < 1000 && error.empty(); ++tries) {
    setThreadCount(3);  // new workers, which have no memory kept
    error = thrown([&] { cpuKernels().causalConv1d(conv); });
  }
  refuse = false;
  expect(error == "bad_alloc", "a kernel throws what its worker threw");
  cpuKernels().causalConv1d(conv);
  bool right = true;
  for (int64_t i = 3 * channels; i < length * channels; ++i) right = right && y[i] == 1.0f;
  expect(right, "and is right when there is memory again");

  { Scratch small(100); }
  spared = {}, refuse = true;
  expect(thrown([] { Scratch larger(1 << 20); }) == "bad_alloc", "scratch memory that is not to be had");
  expect(thrown([] { Scratch again(1 << 20); }) == "bad_alloc", "is not freed twice");
  refuse = false;
  { Scratch larger(1 << 20); }
  std::printf("%d failed\n", failures);
  return failures != 0;
}
