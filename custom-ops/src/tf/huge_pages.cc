#include "huge_pages.h"

#include <sys/mman.h>

#include <cstdint>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>

namespace tfjs_mamba {
namespace {

constexpr uintptr_t kHugePage = 2 << 20;
#ifdef MADV_COLLAPSE
constexpr int kCollapse = MADV_COLLAPSE;
#else
constexpr int kCollapse = 25;  // since Linux 6.1; the C library's headers may be older
#endif
constexpr size_t kRemembered = 4096;  // addresses; to ask again for one costs a microsecond

// The whole huge pages in a tensor, if it is so large that what is left over at its ends does not matter.
void advise(const void *data, size_t bytes, int advice) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(data);
  const uintptr_t begin = (address + kHugePage - 1) / kHugePage * kHugePage;
  const uintptr_t end = (address + bytes) / kHugePage * kHugePage;
  if (bytes >= 2 * kHugePage && end > begin) madvise(reinterpret_cast<void *>(begin), end - begin, advice);
}

// Takes weights from a queue, in a thread of its own that ends when there are no more: at the first token there are all
// those of a model. A weight that has gone meanwhile does no harm, as this only gives advice about addresses.
class Mover {
 public:
  void add(const void *data, size_t bytes) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (seen_.size() > kRemembered) seen_.clear();
    size_t &known = seen_[data];
    if (known == bytes) return;
    known = bytes;
    queue_.push_back({data, bytes});
    if (running_) return;
    try {
      std::thread([this] { run(); }).detach();
      running_ = true;
    } catch (const std::system_error &) {
      queue_.clear();  // no more threads to be had: then without
    }
  }

 private:
  void run() {
    for (;;) {
      std::pair<const void *, size_t> next;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        if (queue_.empty()) {
          running_ = false;
          return;
        }
        next = queue_.front();
        queue_.pop_front();
      }
      advise(next.first, next.second, kCollapse);
    }
  }

  std::mutex mutex_;
  std::unordered_map<const void *, size_t> seen_;
  std::deque<std::pair<const void *, size_t>> queue_;
  bool running_ = false;
};

}  // namespace

void preferHugePages(void *data, size_t bytes) { advise(data, bytes, MADV_HUGEPAGE); }

void moveToHugePages(const void *data, size_t bytes) {
  static Mover *mover = new Mover;  // never destroyed: its thread may outlive the destructors of a process that exits
  if (bytes >= 2 * kHugePage) mover->add(data, bytes);
}

}  // namespace tfjs_mamba
