#include <pthread.h>
#include <signal.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "common/bus/nats_bus.h"
#include "services/arcctl/arcctl.h"

int main(int argc, char** argv) {
  // Signals are taken by one thread that waits for them; all threads made from here on inherit the mask.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  // A reader of the output that went away ends the write with an error, not the process.
  signal(SIGPIPE, SIG_IGN);

  arc::arcctl::StopSignal stop;
  std::thread waiter([&] {
    int number = 0;
    sigwait(&signals, &number);
    if (number != SIGUSR1 && !stop.Stop()) std::_Exit(128 + number);
  });
  const int status =
      arc::arcctl::Run(std::vector<std::string>(argv + 1, argv + argc), std::cout, std::cerr, stop);
  pthread_kill(waiter.native_handle(), SIGUSR1);
  waiter.join();
  std::cout << std::flush;
  arc::bus::EndProcessIfTls(status);
  return status;
}
