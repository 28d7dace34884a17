#include "thread_pool.h"

#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace tfjs_mamba {
namespace {

int initialThreadCount() {
  if (const char *text = std::getenv("TFJS_MAMBA_THREADS")) {
    const int count = std::atoi(text);
    if (count > 0) return count;
  }
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  const unsigned count = std::thread::hardware_concurrency();
  return count > 0 ? static_cast<int>(count) : 1;
}

thread_local bool insideTask = false;

class Pool {
 public:
  Pool() : threads_(initialThreadCount()), process_(getpid()) {}

  int threads() const { return threads_; }

  void resize(int count) {
    std::lock_guard<std::mutex> busy(busy_);
    stop();
    threads_ = count < 1 ? 1 : count;
  }

  void run(int64_t tasks, TaskFunction fn, void *context) {
    std::unique_lock<std::mutex> busy(busy_, std::defer_lock);
    // A forked child has no workers. It, tasks within tasks and callers that find the pool taken do the work alone.
    if (tasks < 2 || threads_ < 2 || insideTask || getpid() != process_ || !busy.try_lock()) {
      for (int64_t i = 0; i < tasks; ++i) fn(context, i);
      return;
    }
    if (workers_.empty()) start();
    fn_ = fn, context_ = context, tasks_ = tasks;
    failed_.store(false, std::memory_order_relaxed);
    unfinished_.store(tasks, std::memory_order_relaxed);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      tickets_.store(tasks, std::memory_order_release);
    }
    wake_.notify_all();
    work();
    // What is left is in the hands of the others, at most one task each: look often, then sleep.
    for (int spin = 0; spin < kSpins && unfinished_.load(std::memory_order_acquire) != 0; ++spin) pause();
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return unfinished_.load(std::memory_order_acquire) == 0; });
    // Only now, when no thread has anything to do with the caller's variables any more.
    if (failed_.load(std::memory_order_relaxed)) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  // Some 50 microseconds, what lies between two kernels of a model; waking a sleeper costs more than that.
  static constexpr int kSpins = 4000;

  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  // A ticket is the right to run one task. A worker that comes late finds none (the count goes below zero), or one of
  // the next call, whose fn_, context_ and tasks_ were written before its tickets; they stay until its task is done.
  // So a call never waits for a worker that has not been scheduled yet.
  void work() {
    insideTask = true;
    for (int64_t ticket; (ticket = tickets_.fetch_sub(1, std::memory_order_acq_rel)) > 0;) {
      runOne(tasks_ - ticket);
      if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        std::lock_guard<std::mutex> lock(mutex_);
        done_.notify_one();
      }
    }
    insideTask = false;
  }

  // What a task throws would end the process if it left a worker. The first error is kept for the caller; tasks that
  // have not begun by then are let go.
  void runOne(int64_t task) {
    if (failed_.load(std::memory_order_relaxed)) return;
    try {
      fn_(context_, task);
    } catch (...) {
      std::lock_guard<std::mutex> lock(mutex_);
      if (!failed_.exchange(true, std::memory_order_relaxed)) error_ = std::current_exception();
    }
  }

  // As many workers as the system grants: a call goes on with fewer, or alone.
  void start() {
    stopping_ = false;
    workers_.reserve(threads_ - 1);
    try {
      for (int i = 1; i < threads_; ++i) workers_.emplace_back([this] { loop(); });
    } catch (const std::system_error &) {
    }
  }

  void stop() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (auto &worker : workers_) worker.join();
    workers_.clear();
  }

  void loop() {
    for (;;) {
      for (int spin = 0; spin < kSpins && tickets_.load(std::memory_order_acquire) <= 0; ++spin) pause();
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [this] { return stopping_ || tickets_.load(std::memory_order_acquire) > 0; });
        if (stopping_) return;
      }
      work();
    }
  }

  int threads_;
  const pid_t process_;
  std::vector<std::thread> workers_;
  std::mutex busy_, mutex_;
  std::condition_variable wake_, done_;
  std::atomic<int64_t> tickets_{0}, unfinished_{0};
  std::atomic<bool> failed_{false};
  std::exception_ptr error_;
  TaskFunction fn_ = nullptr;
  void *context_ = nullptr;
  int64_t tasks_ = 0;
  bool stopping_ = false;
};

// Never destroyed: its threads may outlive the destructors of a process that exits.
Pool &pool() {
  static Pool *instance = new Pool;
  return *instance;
}

constexpr size_t kKeepBytes = 32 << 20;
constexpr std::align_val_t kAlignment{64};

struct Block {
  char *data = nullptr;
  size_t size = 0;
  bool taken = false;
  ~Block() { operator delete[](data, kAlignment); }
};
thread_local Block block;

size_t rounded(size_t floats) { return (floats * sizeof(float) + 63) / 64 * 64; }

}  // namespace

void runTasks(int64_t tasks, TaskFunction fn, void *context) { pool().run(tasks, fn, context); }
int threadCount() { return pool().threads(); }
void setThreadCount(int count) { pool().resize(count); }

Scratch::Scratch(size_t floats) : size_(floats * sizeof(float) + 64 * 32) {
  own_ = block.taken || size_ > kKeepBytes;
  if (!own_ && block.size < size_) {
    // Nothing is left to be freed again if there is no memory for the new one.
    operator delete[](std::exchange(block.data, nullptr), kAlignment);
    block.size = 0;
    block.data = static_cast<char *>(operator new[](size_, kAlignment));
    block.size = size_;
  }
  base_ = own_ ? static_cast<char *>(operator new[](size_, kAlignment)) : block.data;
  if (!own_) block.taken = true;
}

Scratch::~Scratch() {
  if (own_)
    operator delete[](base_, kAlignment);
  else
    block.taken = false;
}

float *Scratch::take(size_t floats) {
  float *p = reinterpret_cast<float *>(base_ + used_);
  used_ += rounded(floats);
  return p;
}

}  // namespace tfjs_mamba
