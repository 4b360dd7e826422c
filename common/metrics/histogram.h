// A histogram as it travels in $SRV.STATS: counters since the process started, so that what happened in an
// interval is the difference of two. Not thread-safe.
#ifndef ARC_COMMON_METRICS_HISTOGRAM_H_
#define ARC_COMMON_METRICS_HISTOGRAM_H_

#include <cstdint>
#include <optional>
#include <vector>

namespace arc {

// JSON: {"le":[0.1,0.25,…],"buckets":[0,3,…],"count":4,"sum":7.5}.
struct Histogram {
  std::vector<double> le;        // upper bounds, ascending
  std::vector<int64_t> buckets;  // as many: how many values were at most that bound
  int64_t count = 0;             // all values, those above the last bound as well
  double sum = 0;

  // False, and unchanged, when the bounds differ. One without bounds has counted nothing: it becomes `other`,
  // and adds nothing to another.
  bool Add(const Histogram& other);

  // The value below which a share `q` (0 to 1) of all values lies, taken as spread evenly within a bucket, as
  // Prometheus' histogram_quantile() takes it; the last bound when it is above that. None without values, and
  // when bounds and counts are no histogram.
  std::optional<double> Quantile(double q) const;

  template <class S, class V>
  static void Describe(S& s, V& v) {
    v.Required("le", s.le);
    v.Required("buckets", s.buckets);
    v.Required("count", s.count);
    v.Required("sum", s.sum);
  }
};

}  // namespace arc

#endif  // ARC_COMMON_METRICS_HISTOGRAM_H_
