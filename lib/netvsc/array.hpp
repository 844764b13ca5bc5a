/* SPDX-License-Identifier: BSD-3-Clause */
/** An array in memory of the caller's choice, such as memory that several processes share. */
#pragma once

#include <cstddef>
#include <memory_resource>
#include <type_traits>
#include <utility>

namespace netvsc {

/** Only the process that made it may let go of it; others may use it meanwhile. */
template <class T> class Array {
	static_assert(std::is_trivially_destructible_v<T>);

      public:
	Array() = default;
	Array(size_t count, std::pmr::memory_resource* memory) : count_(count), memory_(memory)
	{
		if (count == 0)
			return;
		data_ = static_cast<T*>(memory->allocate(count * sizeof(T), alignof(T)));
		for (size_t i = 0; i < count; i++)
			new (data_ + i) T{};
	}
	~Array()
	{
		if (data_ != nullptr)
			memory_->deallocate(data_, count_ * sizeof(T), alignof(T));
	}
	Array(Array&& other) noexcept { swap(other); }
	Array& operator=(Array&& other) noexcept
	{
		swap(other);
		return *this;
	}

	T& operator[](size_t i) { return data_[i]; }
	const T& operator[](size_t i) const { return data_[i]; }
	T* data() { return data_; }
	size_t size() const { return count_; }

      private:
	void swap(Array& other)
	{
		std::swap(data_, other.data_);
		std::swap(count_, other.count_);
		std::swap(memory_, other.memory_);
	}

	T* data_ = nullptr;
	size_t count_ = 0;
	std::pmr::memory_resource* memory_ = nullptr;
};

} // namespace netvsc
