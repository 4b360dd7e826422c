#include "common/metrics/histogram.h"

#include <algorithm>
#include <cstddef>

namespace arc {

bool Histogram::Add(const Histogram& other) {
  if (le.empty() && count == 0) {
    *this = other;
    return true;
  }
  if (other.le.empty() && other.count == 0) return true;
  if (le != other.le || buckets.size() != other.buckets.size()) return false;
  for (size_t i = 0; i < buckets.size(); ++i) buckets[i] += other.buckets[i];
  count += other.count;
  sum += other.sum;
  return true;
}

std::optional<double> Histogram::Quantile(double q) const {
  if (count <= 0 || le.empty() || le.size() != buckets.size() || !std::is_sorted(le.begin(), le.end()) ||
      !std::is_sorted(buckets.begin(), buckets.end())) {
    return std::nullopt;
  }
  const double rank = std::clamp(q, 0.0, 1.0) * static_cast<double>(count);
  size_t i = 0;
  while (i < buckets.size() && static_cast<double>(buckets[i]) < rank) ++i;
  if (i == buckets.size()) return le.back();
  const double low = i == 0 ? 0 : le[i - 1];
  const double before = i == 0 ? 0 : static_cast<double>(buckets[i - 1]);
  const double within = static_cast<double>(buckets[i]) - before;
  // A rank of 0 may meet an empty first bucket.
  if (within <= 0) return low;
  return low + (le[i] - low) * (rank - before) / within;
}

}  // namespace arc
