// Takes the requests of all connections from their sockets, on one thread of its own, and hands on those that
// are whole: a client that is slow to send occupies no thread that answers.
#ifndef ARC_COMMON_HTTP_REQUEST_READER_H_
#define ARC_COMMON_HTTP_REQUEST_READER_H_

#include <cstddef>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace arc {

struct RequestLimits {
  absl::Duration whole = absl::Seconds(5);           // from the connection to the end of its request
  absl::Duration pressed = absl::Milliseconds(250);  // the same, while there are more than `many` connections
  size_t many = 32;
  size_t connections = 256;  // the oldest one goes when there are more
  size_t header_bytes = size_t{16} * 1024;
  size_t body_bytes = size_t{1024} * 1024;
  size_t all_bytes = size_t{16} * 1024 * 1024;  // of all connections; the largest one goes first
};

// How much of a request is there.
enum class Completeness { kPart, kWhole, kHeadTooLarge };
// kWhole also of what is malformed or too large, once that shows: the server says so. `continue_expected`:
// the client waits for "100 Continue".
Completeness JudgeRequest(absl::string_view bytes, const RequestLimits& limits, bool* continue_expected);

// Thread-safe.
class RequestReader {
 public:
  // Owns the socket from then on. Must not block.
  using Taker = std::function<void(int socket, std::string request)>;

  RequestReader(const RequestLimits& limits, Taker taker);
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  // A connection of which nothing has been read. Owns the socket.
  void Take(int socket);
  // A connection that has been answered: closed once its client has read that, or soon.
  void Finish(int socket);
  // Closes what is there. Nothing is handed on afterwards.
  void Stop();

 private:
  struct Connection {
    int socket = -1;
    std::string bytes;
    absl::Time since;
    bool answered = false;  // what still comes is not read any more
    bool told_to_continue = false;
    size_t drained = 0;
  };

  void Run();
  void Wake();
  // False: it is done with.
  bool Read(Connection& connection);
  void MakeRoom();

  const RequestLimits limits_;
  const Taker taker_;
  int wake_ = -1;
  std::mutex mutex_;
  bool stopped_ = false;
  std::vector<Connection> taken_;
  std::list<Connection> connections_;  // of the thread, the oldest first
  std::thread thread_;
};

}  // namespace arc

#endif  // ARC_COMMON_HTTP_REQUEST_READER_H_
