/* SPDX-License-Identifier: BSD-3-Clause */
/** Capture files: one is replayed to the guest, what the guest sends is written to another. */
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <pcap/pcap.h>
#include <thread>
#include <vector>

#include "kinds.hpp"

namespace netvsp {

namespace {

constexpr size_t kMaxInput = size_t(2) << 30;
constexpr size_t kOutputBuffer = 1u << 20;
constexpr int kSnapLength = 65535;
constexpr std::chrono::milliseconds kFlushInterval{100};

/* The frames of a capture, in memory: a replay must not wait for a disk. */
class Replay {
      public:
	/** @return empty, or what is wrong */
	std::string load(const std::string& path)
	{
		char reason[PCAP_ERRBUF_SIZE] = "";
		FILE* file = fopen(path.c_str(), "rbe");

		if (!file)
			return "cannot read " + path + ": " + strerror(errno);
		pcap_t* pcap = pcap_fopen_offline(file, reason);
		if (!pcap) {
			fclose(file);
			return path + " is no pcap or pcapng file: " + reason;
		}
		const std::string error = load(path, pcap);
		pcap_close(pcap);
		return error;
	}

	bool done() const { return next_ == lengths_.size(); }
	uint32_t length() const { return lengths_[next_]; }
	const uint8_t* frame() const { return &bytes_[at_]; }
	void skip() { at_ += lengths_[next_++]; }
	uint64_t cut() const { return cut_; }

      private:
	std::string load(const std::string& path, pcap_t* pcap)
	{
		pcap_pkthdr* header;
		const u_char* data;
		int result;

		if (pcap_datalink(pcap) != DLT_EN10MB) {
			const char* name = pcap_datalink_val_to_name(pcap_datalink(pcap));

			return path + " has link type " + (name ? name : "unknown") +
			       ", only Ethernet (EN10MB) is accepted";
		}
		while ((result = pcap_next_ex(pcap, &header, &data)) == 1) {
			/* Half a frame is not what was on the wire. */
			if (header->caplen < header->len || header->caplen == 0) {
				cut_++;
				continue;
			}
			if (bytes_.size() + header->caplen > kMaxInput)
				return path + " has more than 2 GiB of frames";
			bytes_.insert(bytes_.end(), data, data + header->caplen);
			lengths_.push_back(header->caplen);
		}
		if (result == PCAP_ERROR)
			return path + " is damaged: " + pcap_geterr(pcap);
		return "";
	}

	std::vector<uint8_t> bytes_;
	std::vector<uint32_t> lengths_;
	size_t next_ = 0;
	size_t at_ = 0;
	uint64_t cut_ = 0;
};

/*
 * Writes a capture. A thread of its own brings what was written to the file: a disk may block,
 * which the host's thread must not, and the last frames must get there although nobody calls any
 * more. Stdio's lock is what both share.
 */
class Record {
      public:
	Record() = default;
	Record(const Record&) = delete;
	Record& operator=(const Record&) = delete;
	~Record()
	{
		if (flusher_.joinable()) {
			{
				std::lock_guard lock(mutex_);
				stop_ = true;
			}
			wake_.notify_one();
			flusher_.join();
		}
		if (dumper_)
			pcap_dump_close(dumper_);
		if (pcap_)
			pcap_close(pcap_);
	}

	/** @return empty, or what is wrong */
	std::string open(const std::string& path)
	{
		FILE* file = fopen(path.c_str(), "wbe");

		if (!file)
			return "cannot write " + path + ": " + strerror(errno);
		setvbuf(file, nullptr, _IOFBF, kOutputBuffer);
		pcap_ = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, kSnapLength,
							     PCAP_TSTAMP_PRECISION_NANO);
		dumper_ = pcap_ ? pcap_dump_fopen(pcap_, file) : nullptr;
		if (!dumper_) {
			const std::string reason = pcap_ ? pcap_geterr(pcap_) : "no memory";

			fclose(file);
			return "cannot write " + path + ": " + reason;
		}
		/* Whoever follows the file sees its header at once. */
		pcap_dump_flush(dumper_);
		flusher_ = std::thread([this] { flush_loop(); });
		return "";
	}

	bool active() const { return dumper_ != nullptr; }

	void write(const uint8_t* frame, uint32_t length)
	{
		const uint64_t now = clock_ns(CLOCK_REALTIME);
		pcap_pkthdr header{};

		header.ts.tv_sec = time_t(now / 1000000000u);
		header.ts.tv_usec = suseconds_t(now % 1000000000u); /* ns by the file's format */
		header.caplen = header.len = length;
		pcap_dump(reinterpret_cast<u_char*>(dumper_), &header, frame);
		if (!dirty_.load(std::memory_order_relaxed)) {
			{
				std::lock_guard lock(mutex_);
				dirty_ = true;
			}
			wake_.notify_one();
		}
	}

	/** Failed writes since the last call. */
	uint64_t take_failures()
	{
		return failures_.load(std::memory_order_relaxed) ? failures_.exchange(0) : 0;
	}

      private:
	void flush_loop()
	{
		std::unique_lock lock(mutex_);

		while (!stop_) {
			wake_.wait(lock, [this] { return stop_ || dirty_; });
			/* More frames are likely to follow: one write for all of them. */
			wake_.wait_for(lock, kFlushInterval, [this] { return stop_; });
			dirty_ = false;
			lock.unlock();
			/* A frame that came in between is either flushed here or makes it dirty. */
			FILE* file = pcap_dump_file(dumper_);
			if (pcap_dump_flush(dumper_) != 0 || ferror(file)) {
				failures_++;
				clearerr(file); /* so that the next one counts, too */
			}
			lock.lock();
		}
	}

	pcap_t* pcap_ = nullptr;
	pcap_dumper_t* dumper_ = nullptr;
	std::thread flusher_;
	std::mutex mutex_;
	std::condition_variable wake_;
	bool stop_ = false;
	std::atomic<bool> dirty_{false};
	std::atomic<uint64_t> failures_{0};
};

class Pcap final : public Endpoint {
      public:
	/** @return empty, or what is wrong */
	std::string open(const std::string& in, const std::string& out)
	{
		std::string error;

		if (!in.empty()) {
			error = replay_.load(in);
			stats_.dropped = replay_.cut();
		}
		if (error.empty() && !out.empty())
			error = record_.open(out);
		return error;
	}

	bool send(const uint8_t* frame, uint32_t length) override
	{
		stats_.sent_frames++;
		stats_.sent_bytes += length;
		if (record_.active())
			record_.write(frame, length);
		return true;
	}

	uint32_t receive(uint8_t* room, uint32_t capacity) override
	{
		while (!replay_.done()) {
			const uint32_t length = replay_.length();

			if (length > capacity) {
				stats_.dropped++;
				replay_.skip();
				continue;
			}
			memcpy(room, replay_.frame(), length);
			replay_.skip();
			stats_.received_frames++;
			stats_.received_bytes += length;
			return length;
		}
		flush();
		return 0;
	}

	void flush() override { stats_.errors += record_.take_failures(); }

	int64_t wait_ns() const override { return replay_.done() ? -1 : 0; }

      private:
	Replay replay_;
	Record record_;
};

/* Splits at ':' where it is not escaped. @return false: not two parts, or a wrong escape */
bool split(const std::string& args, std::string& in, std::string& out)
{
	std::string* part = &in;

	for (size_t i = 0; i < args.size(); i++) {
		char c = args[i];

		if (c == ':') {
			if (part == &out)
				return false;
			part = &out;
			continue;
		}
		if (c == '\\') {
			if (++i == args.size() || (args[i] != ':' && args[i] != '\\'))
				return false;
			c = args[i];
		}
		part->push_back(c);
	}
	return part == &out;
}

} // namespace

std::unique_ptr<Endpoint> make_pcap(const std::string& args, std::string& error)
{
	std::string in, out;

	if (!split(args, in, out)) {
		error = "\"" + args +
			"\" is not IN:OUT, where either may be empty, and ':' and '\\' "
			"in a path are written '\\:' and '\\\\'";
		return nullptr;
	}
	if (in.empty() && out.empty()) {
		error = "neither a file to replay nor one to write is named";
		return nullptr;
	}
	if (in == out) {
		error = "IN and OUT are the same file, " + in;
		return nullptr;
	}
	auto pcap = std::make_unique<Pcap>();
	error = pcap->open(in, out);
	if (!error.empty())
		return nullptr;
	return pcap;
}

} // namespace netvsp
