# cmake -DINPUT=deploy/streams.json -DOUTPUT=default_topology.cc -P embed.cmake
file(READ ${INPUT} text)
file(WRITE ${OUTPUT} "#include \"common/provision/topology.h\"

namespace arc::provision {

absl::string_view DefaultTopologyText() {
  static constexpr char kText[] = R\"topology(${text})topology\";
  return absl::string_view(kText, sizeof(kText) - 1);
}

}  // namespace arc::provision
")
