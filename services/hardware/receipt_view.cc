// arc-receipt-view FILE [COLUMNS]: shows the receipts in the file of a file printer as text.
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "absl/strings/numbers.h"
#include "services/hardware/receipt_reader.h"

int main(int argc, char** argv) {
  int columns = 48;
  if (argc < 2 || argc > 3 || (argc == 3 && (!absl::SimpleAtoi(argv[2], &columns) || columns < 1))) {
    std::cerr << "usage: arc-receipt-view FILE [COLUMNS]\n";
    return 2;
  }
  std::ifstream file(argv[1], std::ios::binary);
  if (!file) {
    std::cerr << argv[1] << ": cannot be read\n";
    return 1;
  }
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const auto text = arc::hardware::EscPosToText(bytes, columns);
  if (!text.ok()) {
    std::cerr << argv[1] << ": " << text.status().message() << "\n";
    return 1;
  }
  std::cout << *text;
  return 0;
}
