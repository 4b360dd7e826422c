// RETURN_IF_ERROR and ASSIGN_OR_RETURN under their upstream names: Debian's Abseil does not have them yet.
#ifndef ARC_COMMON_STATUS_STATUS_MACROS_H_
#define ARC_COMMON_STATUS_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define ARC_STATUS_CONCAT_INNER(a, b) a##b
#define ARC_STATUS_CONCAT(a, b) ARC_STATUS_CONCAT_INNER(a, b)

// Returns the status of `expr` from the enclosing function unless it is OK.
#define RETURN_IF_ERROR(expr)                  \
  do {                                         \
    absl::Status arc_status_ = (expr);         \
    if (!arc_status_.ok()) return arc_status_; \
  } while (false)

// Evaluates the StatusOr `expr`; returns its status from the enclosing function, or moves its value into
// `lhs`.
#define ASSIGN_OR_RETURN(lhs, expr) \
  ARC_ASSIGN_OR_RETURN_IMPL(ARC_STATUS_CONCAT(arc_statusor_, __LINE__), lhs, expr)
#define ARC_ASSIGN_OR_RETURN_IMPL(statusor, lhs, expr)     \
  auto statusor = (expr);                                  \
  if (!statusor.ok()) return std::move(statusor).status(); \
  lhs = std::move(statusor).value()

#endif  // ARC_COMMON_STATUS_STATUS_MACROS_H_
