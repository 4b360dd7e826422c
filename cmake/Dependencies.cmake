# Every library comes from Debian; scripts/setup lists the packages.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(Protobuf REQUIRED)
find_package(GTest REQUIRED)
find_package(OpenSSL REQUIRED)
# Debian's CMake configuration of libnats names a library that its package does not install.
pkg_check_modules(NATS REQUIRED IMPORTED_TARGET libnats)
# Health is served and probed without TLS: the smaller library saves 2 MB a process.
pkg_check_modules(GRPC REQUIRED IMPORTED_TARGET grpc++_unsecure)
pkg_check_modules(PROMETHEUS REQUIRED IMPORTED_TARGET prometheus-cpp-core)
pkg_check_modules(HTTPLIB REQUIRED IMPORTED_TARGET cpp-httplib)
pkg_check_modules(XAPIAN REQUIRED IMPORTED_TARGET xapian-core)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(QRENCODE REQUIRED IMPORTED_TARGET libqrencode)
find_library(HPDF_LIBRARY hpdf REQUIRED)
find_program(PROTOC_GRPC_CPP grpc_cpp_plugin REQUIRED)
