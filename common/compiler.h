/* SPDX-License-Identifier: ISC */
/*
 * Compiler attributes and small macros that every file may use.
 */
#ifndef MCRELAY_COMPILER_H
#define MCRELAY_COMPILER_H

#define ATTR_PRINTF(f, a)	__attribute__((__format__(__printf__, f, a)))
#define ATTR_NONNULL		__attribute__((__nonnull__))
#define ATTR_UNUSED_RESULT	__attribute__((__warn_unused_result__))
#define ATTR_MALLOC		__attribute__((__malloc__, __returns_nonnull__))
#define ATTR_UNUSED		__attribute__((__unused__))
#define ATTR_ALIGNED(n)		__attribute__((__aligned__(n)))

#define CACHE_LINE		64

#define LIKELY(x)		__builtin_expect(!!(x), 1)
#define UNLIKELY(x)		__builtin_expect(!!(x), 0)

#define NITEMS(a)		(sizeof(a) / sizeof((a)[0]))

/* The larger and the smaller of two values; arguments evaluated once. */
#define MAX_OF(a, b) \
	({ __auto_type max_a_ = (a); __auto_type max_b_ = (b); \
	   max_a_ > max_b_ ? max_a_ : max_b_; })
#define MIN_OF(a, b) \
	({ __auto_type min_a_ = (a); __auto_type min_b_ = (b); \
	   min_a_ < min_b_ ? min_a_ : min_b_; })

/* Round up to a power of two `to'. */
#define ROUND_UP(n, to) \
	(((n) + ((to) - 1)) & ~((__typeof__(n))(to) - 1))

#endif /* MCRELAY_COMPILER_H */
