// runTasks for a lambda. Lives in the namespace of the instruction set, as everything that is instantiated there must.
#pragma once

#include "thread_pool.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {

template <typename Task>
static inline void parallelFor(int64_t tasks, const Task &task) {
  runTasks(
      tasks, [](void *context, int64_t i) { (*static_cast<const Task *>(context))(i); },
      const_cast<void *>(static_cast<const void *>(&task)));
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
