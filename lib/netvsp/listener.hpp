/* SPDX-License-Identifier: BSD-3-Clause */
/** The listening vmbus-user socket of a host. */
#pragma once

#include <string>

namespace netvsp {

class Listener {
      public:
	Listener() = default;
	~Listener() { close(); }
	Listener(const Listener&) = delete;
	Listener& operator=(const Listener&) = delete;

	/** Binds the path; a socket file there is replaced only if nobody answers on it. */
	bool open(const std::string& path, std::string& error);
	/** Removes the socket file, unless somebody else has put another one in its place. */
	void close();
	/** @return the next guest's socket, -1 if there is none */
	int accept();
	int fd() const { return fd_; }

      private:
	int fd_ = -1;
	std::string path_;
	unsigned long inode_ = 0;
	unsigned long device_ = 0;
};

} // namespace netvsp
