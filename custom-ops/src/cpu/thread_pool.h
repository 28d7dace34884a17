// A persistent pool of threads for the CPU kernels, and scratch memory for what runs on them.
//
// TensorFlow's C kernel API has no access to TensorFlow's own pool, and starting threads for each call costs more than
// many calls take. Tasks are handed out by an atomic counter: which thread does which is left to chance, so a kernel
// must cut its work in a way that depends on shapes alone and give each task its own output. Then its results do not
// depend on the number of threads.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tfjs_mamba {

using TaskFunction = void (*)(void *context, int64_t task);

// Runs fn(context, 0) ... fn(context, tasks - 1) and returns when all are done. When another thread of the process
// has the pool at that moment (Node worker threads), or when called from within a task, the caller does all of it. What
// a task throws, the call throws, once no task runs any more; the tasks that had not begun are left undone.
void runTasks(int64_t tasks, TaskFunction fn, void *context);

// The number of threads that runTasks uses, the caller's included. At first the processors this process may run on, or
// the environment variable TFJS_MAMBA_THREADS.
int threadCount();
void setThreadCount(int count);  // for tests

// Scratch memory of one call or task, aligned to 64 bytes and not initialised. A thread keeps its block for the next
// call, unless it was very large. Blocks nest as scopes do.
class Scratch {
 public:
  explicit Scratch(size_t floats);
  ~Scratch();
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;
  // The next piece of the block.
  float *take(size_t floats);

 private:
  char *base_;
  size_t used_ = 0, size_;
  bool own_;
};

}  // namespace tfjs_mamba
