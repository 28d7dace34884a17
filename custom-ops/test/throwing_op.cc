// An op whose tasks throw, as those of a kernel may where there is no memory. Built with the library's own frame for ops and
// its threads, and loaded beside it, by test/native/throwing.ts.
#include <atomic>
#include <new>
#include <stdexcept>
#include <thread>

#include "../src/cpu/thread_pool.h"
#include "../src/tf/op.h"

namespace tfjs_mamba {
namespace {

enum class Error { none, memory, other };

struct Problem {
  Error error;
  bool onWorker;
  float *tasksDone;
};

class ThrowingOp {
 public:
  static constexpr const char *kName = "TfjsMambaTestThrowing";

  explicit ThrowingOp(const Attributes &a)
      : error_(static_cast<Error>(a.integer("error"))), onWorker_(a.flag("on_worker")) {}
  Problem problem(Call &call) const { return {error_, onWorker_, call.output(0, {})}; }

 private:
  Error error_;
  bool onWorker_;
};

// Two tasks that wait for each other, so that each has a thread of its own.
struct Meeting {
  Problem problem;
  std::thread::id caller;
  std::atomic<int> begun{0}, done{0};

  void task() {
    ++begun;
    while (begun < 2) std::this_thread::yield();
    if ((std::this_thread::get_id() != caller) == problem.onWorker) {
      if (problem.error == Error::memory) throw std::bad_alloc();
      if (problem.error == Error::other) throw std::runtime_error("what the task said");
    }
    ++done;
  }
};

void run(const Problem &p) {
  setThreadCount(2);
  Meeting meeting{p, std::this_thread::get_id()};
  runTasks(2, [](void *context, int64_t) { static_cast<Meeting *>(context)->task(); }, &meeting);
  *p.tasksDone = static_cast<float>(meeting.done);
}

}  // namespace
}  // namespace tfjs_mamba

__attribute__((constructor)) static void registerOps() {
  using namespace tfjs_mamba;
  registerCpuOp<ThrowingOp, run>(
      {{}, {"tasks_done: float"}, {"error: int", "on_worker: bool"}, TF_ShapeInferenceContextSetUnknownShape});
}
