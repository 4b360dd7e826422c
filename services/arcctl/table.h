// Columns of text, aligned. Pure functions, thread-safe.
#ifndef ARC_SERVICES_ARCCTL_TABLE_H_
#define ARC_SERVICES_ARCCTL_TABLE_H_

#include <string>
#include <vector>

namespace arc::arcctl {

// One line a row, `rows[0]` being the heading; columns whose cells are all numbers stand to the right.
std::vector<std::string> FormatTable(const std::vector<std::vector<std::string>>& rows);

}  // namespace arc::arcctl

#endif  // ARC_SERVICES_ARCCTL_TABLE_H_
