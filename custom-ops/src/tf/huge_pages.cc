#include "huge_pages.h"

#include <sys/mman.h>

#include <cstdint>
#include <mutex>
#include <unordered_map>

namespace tfjs_mamba {
namespace {

constexpr uintptr_t kHugePage = 2 << 20;
constexpr size_t kRemembered = 4096;  // addresses; to ask again for one costs a microsecond

// The whole huge pages in a tensor, if it is so large that what is left over at its ends does not matter.
void advise(const void *data, size_t bytes, int advice) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(data);
  const uintptr_t begin = (address + kHugePage - 1) / kHugePage * kHugePage;
  const uintptr_t end = (address + bytes) / kHugePage * kHugePage;
  if (bytes >= 2 * kHugePage && end > begin) madvise(reinterpret_cast<void *>(begin), end - begin, advice);
}

}  // namespace

void preferHugePages(void *data, size_t bytes) { advise(data, bytes, MADV_HUGEPAGE); }

void moveToHugePages(const void *data, size_t bytes) {
#ifdef MADV_COLLAPSE
  constexpr int kCollapse = MADV_COLLAPSE;
#else
  constexpr int kCollapse = 25;  // since Linux 6.1; the C library's headers may be older
#endif
  if (bytes < 2 * kHugePage) return;
  static std::mutex mutex;
  static std::unordered_map<const void *, size_t> done;
  std::lock_guard<std::mutex> lock(mutex);
  if (done.size() > kRemembered) done.clear();
  size_t &known = done[data];
  if (known == bytes) return;
  known = bytes;
  advise(data, bytes, kCollapse);
}

}  // namespace tfjs_mamba
