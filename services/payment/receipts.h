#ifndef ARC_SERVICES_PAYMENT_RECEIPTS_H_
#define ARC_SERVICES_PAYMENT_RECEIPTS_H_

#include <atomic>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/bus/bus.h"
#include "common/http/http_server.h"
#include "services/payment/ledger.h"
#include "services/payment/receipt_pdf.h"

// Receipts by transaction id, in the bucket KIOSK_RECEIPTS, so that any copy of the agent serves any receipt.
// The bucket keeps what a receipt says (1 to 2 kB), and the PDF (180 kB, nearly all of it the font) is
// rendered when it is asked for: the same bytes each time. Thread-safe.
namespace arc::payment {

class Receipts {
 public:
  struct Options {
    std::string restaurant = "ARC Kiosk";
    std::string restaurant_details;
    std::string
        public_url;  // What customers' phones put before the receipt's path; empty: the QR code is text.
    ReceiptStyle style;
  };
  // The pattern of the path that Serve() answers; its group is the transaction id.
  static constexpr char kPathPattern[] = "/receipts/([0-9A-Za-z-]{1,64})\\.pdf";

  explicit Receipts(Options options) : options_(std::move(options)) {}

  // Works on `bucket`, which outlives this; until then every call is Unavailable.
  void Start(bus::KeyValue& bucket) { bucket_ = &bucket; }

  // "/receipts/<transaction_id>.pdf": `receipt_url` of the kiosk specification, section 7.3.
  static std::string PathOf(absl::string_view transaction_id);

  // Renders a sample: FailedPrecondition when no receipt could be made, because of the fonts for example.
  absl::Status Check() const;

  // Keeps the receipt of a charged payment; the same payment may be stored again. Errors as of bus::KeyValue.
  absl::Status Store(const PaymentRecord& payment);

  // 200 with the PDF of the transaction that the path's group names; 404 for one that is not known; 503 when
  // the bucket cannot be read now.
  HttpResponse Serve(const HttpRequest& request);

 private:
  std::atomic<bus::KeyValue*> bucket_{nullptr};
  const Options options_;
};

}  // namespace arc::payment

#endif  // ARC_SERVICES_PAYMENT_RECEIPTS_H_
