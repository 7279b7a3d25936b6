/* SPDX-License-Identifier: ISC */
/*
 * All that the doctor looks at: a row for each check, in the order in which
 * they are printed.
 *
 *	ROW(name, patience, why)
 *
 * doctor_check_NAME() looks (doctor_priv.h); after `patience' seconds it hangs;
 * `why' says why it matters, and is printed with what is not well.  A new check
 * is a row, a function, and an item in mcrelayctl(8).
 */
#ifndef MCRELAY_DOCTOR_CHECKS_H
#define MCRELAY_DOCTOR_CHECKS_H

#define DOCTOR_CHECKS(ROW)						\
ROW(receive_buffer, 10,							\
    "what comes while a worker is busy or replaced waits there, and "	\
    "is lost when it is full")						\
ROW(outage_budget, 10,							\
    "so long a channel may be without a worker before datagrams are lost") \
ROW(udp_mem, 10,							\
    "beyond it the kernel drops datagrams, however large a receive "	\
    "buffer is")							\
ROW(interface, 10,							\
    "nothing is heard or sent by an interface that is not there, not up, " \
    "has no carrier or no multicast")					\
ROW(rp_filter, 10,							\
    "where it is strict, the kernel silently drops datagrams of senders " \
    "that it would not reach by the same interface, though tcpdump "	\
    "shows them")

#endif /* MCRELAY_DOCTOR_CHECKS_H */
