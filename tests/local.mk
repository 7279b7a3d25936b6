# SPDX-License-Identifier: ISC
# Included by the Makefile.am of the top directory.

#
# Models of the protocols (spin).  First, as they take one processor for a minute;
# no compiler of ours has anything to do with them: `make check MODEL_TESTS=' leaves
# them out.
#
MODEL_TESTS = tests/model/run.sh
TESTS += $(MODEL_TESTS)
EXTRA_DIST += tests/model/run.sh tests/model/lease.pml tests/model/ring.pml \
	tests/model/turn.pml tests/model/worker.pml

#
# Unit tests (cmocka).
#
if HAVE_CMOCKA
UNIT_TESTS = tests/unit/test_ring tests/unit/test_segment \
	tests/unit/test_domain
UNIT_TESTS += tests/unit/test_avro_walk tests/unit/test_archive_names
UNIT_TESTS += tests/unit/test_kill tests/unit/test_landing \
	tests/unit/test_step tests/unit/test_trace tests/unit/test_worker \
	tests/unit/test_merge tests/unit/test_merge_kill \
	tests/unit/test_sender_sequence tests/unit/test_quarantine \
	tests/unit/test_crash tests/unit/test_recover \
	tests/unit/test_retain tests/unit/test_recycle tests/unit/test_writer \
	tests/unit/test_writer_uring tests/unit/test_disk_ring \
	tests/unit/test_writer_again \
	tests/unit/test_hub \
	tests/unit/test_finished
UNIT_TESTS += tests/unit/test_datum tests/unit/test_datum_program \
	tests/unit/test_schema tests/unit/test_schema_canonical \
	tests/unit/test_schema_combine \
	tests/unit/test_schema_limits \
	tests/unit/test_framing tests/unit/test_datum_numbers \
	tests/unit/test_corpus
UNIT_TESTS += tests/unit/test_reduce tests/unit/test_reduce_datum \
	tests/unit/test_reduce_random tests/unit/test_reduce_loops \
	tests/unit/test_reduce_own tests/unit/test_reduce_cost \
	tests/unit/test_sampler
UNIT_TESTS += tests/unit/test_web
UNIT_TESTS += tests/unit/test_fir tests/unit/test_window tests/unit/test_gather
UNIT_TESTS += tests/unit/test_decimator tests/unit/test_ring_reader \
	tests/unit/test_reader_changes tests/unit/test_reader_kill \
	tests/unit/test_reader_killer
UNIT_TESTS += tests/unit/test_conf tests/unit/test_conf_bad \
	tests/unit/test_conf_defaults \
	tests/unit/test_conf_compare tests/unit/test_conf_payload \
	tests/unit/test_conf_stream_archive
UNIT_TESTS += tests/unit/test_account tests/unit/test_account_ask
UNIT_TESTS += tests/unit/test_child tests/unit/test_sockets \
	tests/unit/test_spawn tests/unit/test_watch tests/unit/test_budget tests/unit/test_backoff \
	tests/unit/test_spread tests/unit/test_status tests/unit/test_netwatch \
	tests/unit/test_kernel_path tests/unit/test_xdp_frame \
	tests/unit/test_xdp_kill tests/unit/test_xdp_tags \
	tests/unit/test_silence tests/unit/test_querier tests/unit/test_needs \
	tests/unit/test_events
UNIT_TESTS += tests/unit/test_crew tests/unit/test_relay tests/unit/test_turn \
	tests/unit/test_turn_place \
	tests/unit/test_sandbox \
	tests/unit/test_sandbox_threads \
	tests/unit/test_sandbox_libc
UNIT_TESTS += tests/unit/test_dirs tests/unit/test_errand tests/unit/test_log
UNIT_TESTS += tests/unit/test_gen tests/unit/test_gen_run \
	tests/unit/test_gen_options \
	tests/unit/test_gen_synth
UNIT_TESTS += tests/unit/test_reader tests/unit/test_reading tests/unit/test_verify \
	tests/unit/test_verify_catalog \
	tests/unit/test_replay tests/unit/test_replay_session \
	tests/unit/test_when tests/unit/test_utf8 \
	tests/unit/test_regular tests/unit/test_printable \
	tests/unit/test_decimal tests/unit/test_document \
	tests/unit/test_metrics tests/unit/test_show \
	tests/unit/test_rename tests/unit/test_messages
if WEB
UNIT_TESTS += tests/unit/test_history tests/unit/test_live \
	tests/unit/test_connections
endif
if NATS
UNIT_TESTS += tests/unit/test_forward_source tests/unit/test_forward_headers \
	tests/unit/test_lease_alone
endif
check_PROGRAMS += $(UNIT_TESTS)
TESTS += $(UNIT_TESTS)
endif

# What the programs below share.
TEST_LIBS = libcommon.a $(EV_LIBS) $(CODEC_LIBS) $(CMOCKA_LIBS) \
	$(SECCOMP_LIBS) $(URING_LIBS) $(BPF_LIBS) -lm
SCHEMA_TEST_LIBS = libschema.a $(TEST_LIBS) $(AVRO_LIBS) $(JANSSON_LIBS)
CONF_TEST_LIBS = libsupervisor.a libschema.a $(TEST_LIBS) $(YAML_LIBS) \
	$(AVRO_LIBS) $(JANSSON_LIBS) $(WEB_CHECK_LIBS)
URING_HERE = tests/unit/uring_here.c tests/unit/uring_here.h
RIG = tests/unit/rig.c tests/unit/rig.h tests/unit/rig_worker.c \
	tests/unit/load.c tests/unit/load.h $(URING_HERE)
# Programs for the kernel as parts of a test; they read what lies anywhere.
IN_USER_CPPFLAGS = -I$(top_srcdir)/tests/unit/in_user $(AM_CPPFLAGS)
IN_USER_CFLAGS = $(AM_CFLAGS) -fno-sanitize=alignment
XDP_HERE = tests/unit/xdp_here.c tests/unit/xdp_here.h \
	tests/unit/in_user/bpf/bpf_endian.h tests/unit/in_user/bpf/bpf_helpers.h
XDP_FRAMES = $(XDP_HERE) tests/unit/xdp_frames.c tests/unit/xdp_frames.h
SINGLE_STEP = tests/unit/single_step.c tests/unit/single_step.h
AVRO_RANDOM = tests/unit/avro_random.c tests/unit/avro_random.h \
	tests/unit/avro_reference.c
REDUCE_SUPPORT = $(AVRO_RANDOM) \
	tests/unit/reduce_support.c tests/unit/reduce_support.h \
	tests/unit/reduce_push.h
ARCHIVE_SUPPORT = tests/unit/archive_support.c tests/unit/archive_support.h
VERIFY_SUPPORT = tests/unit/verify_support.c tests/unit/verify_support.h
CONF_SUPPORT = tests/unit/conf_support.c tests/unit/conf_support.h
READER_SUPPORT = tests/unit/reader_support.c tests/unit/reader_support.h

# For a night: the datum program against avro-c, from another seed each time.
.PHONY: nightly
NIGHTLY_ROUNDS = 5000000
nightly: tests/unit/test_datum
	@seed=$${NIGHTLY_SEED:-$$(date +%s)}; \
	echo "$(NIGHTLY_ROUNDS) rounds from seed $$seed"; \
	MCRELAY_TEST_SEED=$$seed MCRELAY_TEST_ROUNDS=$(NIGHTLY_ROUNDS) \
	    tests/unit/test_datum

tests_unit_test_forward_source_SOURCES = tests/unit/test_forward_source.c
tests_unit_test_forward_source_LDADD = libforwarder.a $(READER_LIBS) \
	$(CMOCKA_LIBS)
tests_unit_test_forward_headers_SOURCES = tests/unit/test_forward_headers.c
tests_unit_test_forward_headers_CPPFLAGS = $(AM_CPPFLAGS) $(NATS_CFLAGS)
tests_unit_test_forward_headers_LDADD = libforwarder.a $(READER_LIBS) \
	$(NATS_LIBS) $(CMOCKA_LIBS)
tests_unit_test_lease_alone_SOURCES = tests/unit/test_lease_alone.c
tests_unit_test_lease_alone_CPPFLAGS = $(AM_CPPFLAGS) $(NATS_CFLAGS)
tests_unit_test_lease_alone_LDADD = libforwarder.a $(CONF_TEST_LIBS) \
	$(READER_LIBS) $(NATS_LIBS)
tests_unit_test_ring_SOURCES = tests/unit/test_ring.c
tests_unit_test_ring_LDADD = $(TEST_LIBS)
tests_unit_test_segment_SOURCES = tests/unit/test_segment.c
tests_unit_test_segment_LDADD = $(TEST_LIBS)
tests_unit_test_sandbox_SOURCES = tests/unit/test_sandbox.c \
	tests/unit/hostile.c tests/unit/hostile.h \
	tests/unit/hostile_files.c tests/unit/hostile_priv.h
tests_unit_test_sandbox_LDADD = libsupervisor.a $(TEST_LIBS) -lutil
tests_unit_test_sandbox_threads_SOURCES = tests/unit/test_sandbox_threads.c
tests_unit_test_sandbox_threads_LDADD = $(TEST_LIBS)
tests_unit_test_sandbox_libc_SOURCES = tests/unit/test_sandbox_libc.c
tests_unit_test_sandbox_libc_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/libc_calls
tests_unit_libc_calls_SOURCES = tests/unit/libc_calls.c
if HAVE_MUSL
# Behind its own headers those of the kernel.
check_SCRIPTS = tests/unit/libc_calls_musl
CLEANFILES += tests/unit/libc_calls_musl
tests/unit/libc_calls_musl: tests/unit/libc_calls.c
	$(AM_V_CC)$(MUSL_CC) -O1 -static -idirafter /usr/include \
		-idirafter /usr/include/`$(CC) -print-multiarch` -o $@ \
		"$(srcdir)/tests/unit/libc_calls.c"
endif
tests_unit_test_domain_SOURCES = tests/unit/test_domain.c
tests_unit_test_domain_LDADD = $(TEST_LIBS)

tests_unit_test_archive_names_SOURCES = tests/unit/test_archive_names.c
tests_unit_test_archive_names_LDADD = $(TEST_LIBS)
tests_unit_test_avro_walk_SOURCES = tests/unit/test_avro_walk.c
tests_unit_test_avro_walk_LDADD = $(TEST_LIBS)

tests_unit_test_hub_SOURCES = tests/unit/test_hub.c $(RIG)
tests_unit_test_hub_LDADD = libworker.a $(TEST_LIBS) $(AVRO_LIBS)
tests_unit_test_kill_SOURCES = tests/unit/test_kill.c $(RIG)
tests_unit_test_kill_LDADD = libworker.a $(TEST_LIBS) $(AVRO_LIBS)
tests_unit_test_landing_SOURCES = tests/unit/test_landing.c \
	tests/unit/expected.c tests/unit/expected.h $(RIG)
tests_unit_test_landing_LDADD = libworker.a $(TEST_LIBS) $(AVRO_LIBS)
tests_unit_test_relay_SOURCES = tests/unit/test_relay.c \
	tests/unit/expected.c tests/unit/expected.h $(RIG)
tests_unit_test_relay_LDADD = libworker.a $(TEST_LIBS) $(AVRO_LIBS)
TURN_HOSTS = tests/unit/turn_hosts.c tests/unit/turn_hosts.h $(RIG)
tests_unit_test_turn_SOURCES = tests/unit/test_turn.c $(TURN_HOSTS)
tests_unit_test_turn_LDADD = libworker.a $(TEST_LIBS) $(AVRO_LIBS)
tests_unit_test_turn_place_SOURCES = tests/unit/test_turn_place.c $(TURN_HOSTS)
tests_unit_test_turn_place_LDADD = libworker.a $(TEST_LIBS) $(AVRO_LIBS)
tests_unit_test_merge_SOURCES = tests/unit/test_merge.c \
	tests/unit/merge_script.c tests/unit/merge_script.h
tests_unit_test_merge_LDADD = libworker.a $(TEST_LIBS) $(AVRO_LIBS)
tests_unit_test_merge_kill_SOURCES = tests/unit/test_merge_kill.c \
	tests/unit/merge_script.c tests/unit/merge_script.h $(SINGLE_STEP)
tests_unit_test_merge_kill_LDADD = libworker.a $(TEST_LIBS) $(AVRO_LIBS)
tests_unit_test_step_SOURCES = tests/unit/test_step.c \
	tests/unit/step_receiver.h tests/unit/step_parts.c \
	tests/unit/step_parts.h $(RIG) $(SINGLE_STEP)
tests_unit_test_step_LDADD = libworker.a $(TEST_LIBS) $(AVRO_LIBS)
tests_unit_test_trace_SOURCES = tests/unit/test_trace.c $(RIG)
tests_unit_test_trace_LDADD = libworker.a $(TEST_LIBS) $(AVRO_LIBS)
tests_unit_test_worker_SOURCES = tests/unit/test_worker.c \
	tests/unit/expected.c tests/unit/expected.h $(RIG)
tests_unit_test_worker_LDADD = libworker.a $(TEST_LIBS) $(AVRO_LIBS)

tests_unit_test_crew_SOURCES = tests/unit/test_crew.c
tests_unit_test_crew_LDADD = libworker.a $(SCHEMA_TEST_LIBS)
tests_unit_test_quarantine_SOURCES = tests/unit/test_quarantine.c $(RIG)
tests_unit_test_quarantine_LDADD = libworker.a $(SCHEMA_TEST_LIBS)
# What a worker ends at.
tests_unit_test_quarantine_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=quarantine_has -Wl,--wrap=codec_compress
tests_unit_test_crash_SOURCES = tests/unit/test_crash.c \
	tests/unit/crash_disk.c tests/unit/crash_disk.h \
	tests/unit/crash_log.c tests/unit/crash_log.h $(RIG)
tests_unit_test_crash_LDADD = libworker.a $(TEST_LIBS) $(AVRO_LIBS)
tests_unit_test_recover_SOURCES = tests/unit/test_recover.c
tests_unit_test_recover_LDADD = libworker.a $(TEST_LIBS)
tests_unit_test_writer_SOURCES = tests/unit/test_writer.c $(URING_HERE)
tests_unit_test_writer_LDADD = libworker.a $(TEST_LIBS)
tests_unit_test_disk_ring_SOURCES = tests/unit/test_disk_ring.c $(URING_HERE)
tests_unit_test_disk_ring_LDADD = libworker.a $(TEST_LIBS)
tests_unit_test_writer_again_SOURCES = tests/unit/test_writer_again.c \
	$(URING_HERE)
tests_unit_test_writer_again_LDADD = libworker.a $(TEST_LIBS)
tests_unit_test_writer_uring_SOURCES = tests/unit/test_writer_uring.c $(URING_HERE)
tests_unit_test_writer_uring_LDADD = libworker.a $(TEST_LIBS)
tests_unit_test_finished_SOURCES = tests/unit/test_finished.c
tests_unit_test_finished_LDADD = libworker.a $(TEST_LIBS)
tests_unit_test_recycle_SOURCES = tests/unit/test_recycle.c
tests_unit_test_recycle_LDADD = libworker.a $(TEST_LIBS)
tests_unit_test_retain_SOURCES = tests/unit/test_retain.c
tests_unit_test_retain_LDADD = libworker.a $(TEST_LIBS)

tests_unit_test_conf_SOURCES = tests/unit/test_conf.c \
	$(CONF_SUPPORT)
tests_unit_test_conf_LDADD = $(CONF_TEST_LIBS)
tests_unit_test_conf_defaults_SOURCES = tests/unit/test_conf_defaults.c \
	$(CONF_SUPPORT)
tests_unit_test_conf_defaults_LDADD = $(CONF_TEST_LIBS)
tests_unit_test_conf_compare_SOURCES = tests/unit/test_conf_compare.c \
	$(CONF_SUPPORT)
tests_unit_test_conf_compare_LDADD = $(CONF_TEST_LIBS)
tests_unit_test_conf_payload_SOURCES = tests/unit/test_conf_payload.c \
	$(CONF_SUPPORT)
tests_unit_test_conf_payload_LDADD = $(CONF_TEST_LIBS)
tests_unit_test_conf_stream_archive_SOURCES = tests/unit/test_conf_stream_archive.c \
	$(CONF_SUPPORT)
tests_unit_test_conf_stream_archive_LDADD = $(CONF_TEST_LIBS)
tests_unit_test_conf_bad_SOURCES = tests/unit/test_conf_bad.c \
	tests/unit/conf_bad.h tests/unit/conf_bad_archive.c \
	tests/unit/conf_bad_channel.c tests/unit/conf_bad_input.c \
	tests/unit/conf_bad_relay.c \
	tests/unit/conf_bad_file.c tests/unit/conf_bad_forward.c \
	tests/unit/conf_bad_output.c $(CONF_SUPPORT)
tests_unit_test_conf_bad_LDADD = $(CONF_TEST_LIBS)

tests_unit_test_log_SOURCES = tests/unit/test_log.c
tests_unit_test_log_LDADD = $(TEST_LIBS)
tests_unit_test_dirs_SOURCES = tests/unit/test_dirs.c
tests_unit_test_dirs_LDADD = $(CONF_TEST_LIBS)
tests_unit_test_errand_SOURCES = tests/unit/test_errand.c
tests_unit_test_errand_LDADD = $(CONF_TEST_LIBS)
tests_unit_test_backoff_SOURCES = tests/unit/test_backoff.c
tests_unit_test_backoff_LDADD = libsupervisor.a $(TEST_LIBS)
tests_unit_test_budget_SOURCES = tests/unit/test_budget.c
tests_unit_test_budget_LDADD = $(CONF_TEST_LIBS) $(LIBBSD_LIBS)
tests_unit_test_child_SOURCES = tests/unit/test_child.c \
	tests/unit/child_rig.c tests/unit/child_rig.h
tests_unit_test_child_LDADD = libsupervisor.a $(TEST_LIBS) $(LIBBSD_LIBS) \
	$(WEB_CHECK_LIBS)
tests_unit_test_spawn_SOURCES = tests/unit/test_spawn.c
tests_unit_test_spawn_LDADD = libsupervisor.a $(TEST_LIBS)
tests_unit_test_account_SOURCES = tests/unit/test_account.c
tests_unit_test_account_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) \
	-DACCOUNT_FIXTURE='"$(abs_top_srcdir)/tests/unit/account-0.1.0.json"'
tests_unit_test_account_LDADD = libsupervisor.a $(TEST_LIBS) $(JANSSON_LIBS)
tests_unit_test_account_ask_SOURCES = tests/unit/test_account_ask.c
tests_unit_test_account_ask_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
tests_unit_test_account_ask_LDADD = libsupervisor.a $(TEST_LIBS) \
	$(JANSSON_LIBS)
EXTRA_DIST += tests/unit/account-0.1.0.json
tests_unit_test_watch_SOURCES = tests/unit/test_watch.c
tests_unit_test_watch_LDADD = $(CONF_TEST_LIBS) $(LIBBSD_LIBS)
tests_unit_test_status_SOURCES = tests/unit/test_status.c
tests_unit_test_status_LDADD = $(CONF_TEST_LIBS) $(LIBBSD_LIBS)
tests_unit_test_spread_SOURCES = tests/unit/test_spread.c
tests_unit_test_spread_LDADD = libsupervisor.a $(TEST_LIBS)
tests_unit_test_netwatch_SOURCES = tests/unit/test_netwatch.c
tests_unit_test_netwatch_LDADD = libsupervisor.a $(TEST_LIBS)
tests_unit_test_kernel_path_SOURCES = tests/unit/test_kernel_path.c
tests_unit_test_kernel_path_LDADD = libsupervisor.a $(TEST_LIBS)
tests_unit_test_xdp_kill_SOURCES = tests/unit/test_xdp_kill.c $(SINGLE_STEP)
tests_unit_test_xdp_kill_LDADD = libworker.a $(TEST_LIBS) $(AVRO_LIBS)
tests_unit_test_xdp_frame_CPPFLAGS = $(IN_USER_CPPFLAGS)
tests_unit_test_xdp_frame_CFLAGS = $(IN_USER_CFLAGS)
tests_unit_test_xdp_frame_SOURCES = tests/unit/test_xdp_frame.c $(XDP_FRAMES)
tests_unit_test_xdp_frame_LDADD = libworker.a $(CMOCKA_LIBS)
tests_unit_test_xdp_tags_CPPFLAGS = $(IN_USER_CPPFLAGS)
tests_unit_test_xdp_tags_CFLAGS = $(IN_USER_CFLAGS)
tests_unit_test_xdp_tags_SOURCES = tests/unit/test_xdp_tags.c $(XDP_FRAMES)
tests_unit_test_xdp_tags_LDADD = libworker.a $(CMOCKA_LIBS)
tests_unit_test_needs_SOURCES = tests/unit/test_needs.c
tests_unit_test_needs_LDADD = $(CONF_TEST_LIBS)
tests_unit_test_querier_SOURCES = tests/unit/test_querier.c
tests_unit_test_querier_LDADD = libsupervisor.a $(TEST_LIBS)
tests_unit_test_silence_SOURCES = tests/unit/test_silence.c
tests_unit_test_silence_LDADD = $(CONF_TEST_LIBS) $(LIBBSD_LIBS)
tests_unit_test_events_SOURCES = tests/unit/test_events.c
tests_unit_test_events_LDADD = $(CONF_TEST_LIBS) $(LIBBSD_LIBS)
tests_unit_test_sockets_SOURCES = tests/unit/test_sockets.c
tests_unit_test_sockets_LDADD = libsupervisor.a $(TEST_LIBS)

tests_unit_test_web_SOURCES = tests/unit/test_web.c \
	web/basic.c web/guesses.c web/keyed.c
tests_unit_test_web_LDADD = $(TEST_LIBS)

tests_unit_test_datum_numbers_SOURCES = tests/unit/test_datum_numbers.c
tests_unit_test_datum_numbers_LDADD = $(SCHEMA_TEST_LIBS)
tests_unit_test_framing_SOURCES = tests/unit/test_framing.c
tests_unit_test_framing_LDADD = $(SCHEMA_TEST_LIBS)
tests_unit_test_sender_sequence_SOURCES = tests/unit/test_sender_sequence.c
tests_unit_test_sender_sequence_LDADD = libworker.a $(SCHEMA_TEST_LIBS)
tests_unit_test_corpus_CPPFLAGS = $(AM_CPPFLAGS) \
	-DFUZZ_CORPUS='"$(abs_top_srcdir)/tests/fuzz/datum"'
tests_unit_test_corpus_SOURCES = tests/unit/test_corpus.c \
	tests/fuzz/fuzz_datum.c tests/unit/reduce_push.h
tests_unit_test_corpus_LDADD = $(DECIMATOR_LIBS) $(SCHEMA_TEST_LIBS) -lm
tests_unit_test_datum_CPPFLAGS = $(AM_CPPFLAGS) $(AVRO_CFLAGS)
tests_unit_test_datum_SOURCES = tests/unit/test_datum.c $(AVRO_RANDOM)
tests_unit_test_datum_LDADD = $(SCHEMA_TEST_LIBS)
tests_unit_test_datum_program_CPPFLAGS = $(AM_CPPFLAGS) $(AVRO_CFLAGS)
tests_unit_test_datum_program_SOURCES = tests/unit/test_datum_program.c \
	$(AVRO_RANDOM)
tests_unit_test_datum_program_LDADD = $(SCHEMA_TEST_LIBS)
tests_unit_test_schema_SOURCES = tests/unit/test_schema.c
tests_unit_test_schema_LDADD = $(SCHEMA_TEST_LIBS)
tests_unit_test_schema_limits_SOURCES = tests/unit/test_schema_limits.c
tests_unit_test_schema_limits_LDADD = $(SCHEMA_TEST_LIBS)
tests_unit_test_schema_canonical_SOURCES = tests/unit/test_schema_canonical.c
tests_unit_test_schema_canonical_LDADD = $(SCHEMA_TEST_LIBS)
tests_unit_test_schema_combine_SOURCES = tests/unit/test_schema_combine.c
tests_unit_test_schema_combine_LDADD = $(SCHEMA_TEST_LIBS)

tests_unit_test_reduce_CPPFLAGS = $(AM_CPPFLAGS) $(AVRO_CFLAGS)
tests_unit_test_reduce_SOURCES = tests/unit/test_reduce.c $(REDUCE_SUPPORT)
tests_unit_test_reduce_LDADD = $(DECIMATOR_LIBS) $(SCHEMA_TEST_LIBS)
tests_unit_test_reduce_datum_CPPFLAGS = $(AM_CPPFLAGS) $(AVRO_CFLAGS)
tests_unit_test_reduce_datum_SOURCES = tests/unit/test_reduce_datum.c \
	$(REDUCE_SUPPORT)
tests_unit_test_reduce_datum_LDADD = $(DECIMATOR_LIBS) $(SCHEMA_TEST_LIBS)
# What it compares with must not be fused either.
tests_unit_test_reduce_loops_CFLAGS = $(AM_CFLAGS) -ffp-contract=off
tests_unit_test_reduce_loops_SOURCES = tests/unit/test_reduce_loops.c
tests_unit_test_reduce_loops_LDADD = $(DECIMATOR_LIBS) $(TEST_LIBS)
tests_unit_test_reduce_cost_CPPFLAGS = $(AM_CPPFLAGS) $(AVRO_CFLAGS)
tests_unit_test_reduce_cost_SOURCES = tests/unit/test_reduce_cost.c \
	$(REDUCE_SUPPORT)
tests_unit_test_reduce_cost_LDADD = $(DECIMATOR_LIBS) $(SCHEMA_TEST_LIBS)
tests_unit_test_reduce_own_CPPFLAGS = $(AM_CPPFLAGS) $(AVRO_CFLAGS)
tests_unit_test_reduce_own_SOURCES = tests/unit/test_reduce_own.c \
	$(REDUCE_SUPPORT)
tests_unit_test_reduce_own_LDADD = $(DECIMATOR_LIBS) $(SCHEMA_TEST_LIBS)
tests_unit_test_sampler_SOURCES = tests/unit/test_sampler.c
tests_unit_test_sampler_LDADD = $(DECIMATOR_LIBS) $(TEST_LIBS)
tests_unit_test_reduce_random_CPPFLAGS = $(AM_CPPFLAGS) $(AVRO_CFLAGS)
tests_unit_test_reduce_random_SOURCES = tests/unit/test_reduce_random.c \
	$(REDUCE_SUPPORT)
tests_unit_test_reduce_random_LDADD = $(DECIMATOR_LIBS) $(SCHEMA_TEST_LIBS)

tests_unit_test_window_SOURCES = tests/unit/test_window.c \
	$(READER_SUPPORT)
tests_unit_test_window_LDADD = $(DECIMATOR_LIBS) $(SCHEMA_TEST_LIBS)
tests_unit_test_gather_CPPFLAGS = $(AM_CPPFLAGS) $(AVRO_CFLAGS)
tests_unit_test_gather_SOURCES = tests/unit/test_gather.c $(REDUCE_SUPPORT) \
	$(READER_SUPPORT)
tests_unit_test_gather_LDADD = $(DECIMATOR_LIBS) $(SCHEMA_TEST_LIBS)
tests_unit_test_fir_SOURCES = tests/unit/test_fir.c
tests_unit_test_fir_LDADD = $(DECIMATOR_LIBS) $(TEST_LIBS)
tests_unit_test_decimator_SOURCES = tests/unit/test_decimator.c \
	tests/unit/decimator_process.c tests/unit/decimator_process.h \
	$(READER_SUPPORT)
tests_unit_test_decimator_LDADD = $(DECIMATOR_LIBS) libschema.a \
	$(TEST_LIBS) $(AVRO_LIBS) $(JANSSON_LIBS)
tests_unit_test_ring_reader_SOURCES = tests/unit/test_ring_reader.c \
	$(READER_SUPPORT)
tests_unit_test_ring_reader_LDADD = $(DECIMATOR_LIBS) $(TEST_LIBS)
tests_unit_test_reader_changes_SOURCES = tests/unit/test_reader_changes.c \
	$(READER_SUPPORT)
tests_unit_test_reader_changes_LDADD = $(DECIMATOR_LIBS) $(TEST_LIBS)
tests_unit_test_reader_kill_SOURCES = tests/unit/test_reader_kill.c $(SINGLE_STEP) \
	$(READER_SUPPORT)
tests_unit_test_reader_kill_LDADD = $(DECIMATOR_LIBS) $(TEST_LIBS)
tests_unit_test_reader_killer_SOURCES = tests/unit/test_reader_killer.c $(READER_SUPPORT)
tests_unit_test_reader_killer_LDADD = $(DECIMATOR_LIBS) $(TEST_LIBS)
# A datagram that a process ends at.
tests_unit_test_reader_killer_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=stream_push

tests_unit_test_gen_CPPFLAGS = $(libgen_a_CPPFLAGS)
tests_unit_test_gen_SOURCES = tests/unit/test_gen.c
tests_unit_test_gen_LDADD = $(GEN_LIBS) $(CMOCKA_LIBS)
tests_unit_test_gen_options_CPPFLAGS = $(libgen_a_CPPFLAGS)
tests_unit_test_gen_options_SOURCES = tests/unit/test_gen_options.c
tests_unit_test_gen_options_LDADD = $(GEN_LIBS) $(CMOCKA_LIBS)
tests_unit_test_gen_run_CPPFLAGS = $(libgen_a_CPPFLAGS)
tests_unit_test_gen_run_SOURCES = tests/unit/test_gen_run.c \
	tests/unit/gen_process.c tests/unit/gen_process.h
tests_unit_test_gen_run_LDADD = $(GEN_LIBS) $(CMOCKA_LIBS)
tests_unit_test_gen_synth_CPPFLAGS = $(libgen_a_CPPFLAGS)
tests_unit_test_gen_synth_SOURCES = tests/unit/test_gen_synth.c
tests_unit_test_gen_synth_LDADD = $(GEN_LIBS) $(CMOCKA_LIBS)

tests_unit_test_reader_CPPFLAGS = $(libreader_a_CPPFLAGS)
tests_unit_test_reader_SOURCES = tests/unit/test_reader.c $(ARCHIVE_SUPPORT)
tests_unit_test_reader_LDADD = $(READER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_reading_CPPFLAGS = $(libreader_a_CPPFLAGS)
tests_unit_test_reading_SOURCES = tests/unit/test_reading.c $(ARCHIVE_SUPPORT)
tests_unit_test_reading_LDADD = $(READER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_verify_CPPFLAGS = $(libreader_a_CPPFLAGS)
tests_unit_test_verify_SOURCES = tests/unit/test_verify.c \
	$(ARCHIVE_SUPPORT) $(VERIFY_SUPPORT)
tests_unit_test_verify_LDADD = libverify.a $(READER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_verify_catalog_CPPFLAGS = $(libreader_a_CPPFLAGS)
tests_unit_test_verify_catalog_SOURCES = \
	tests/unit/test_verify_catalog.c $(ARCHIVE_SUPPORT) $(VERIFY_SUPPORT)
tests_unit_test_verify_catalog_LDADD = libverify.a $(READER_LIBS) \
	$(CMOCKA_LIBS)
tests_unit_test_replay_CPPFLAGS = $(libreader_a_CPPFLAGS)
tests_unit_test_replay_SOURCES = tests/unit/test_replay.c $(ARCHIVE_SUPPORT)
tests_unit_test_replay_LDADD = libreplay.a $(CAPTURE_LIBS) \
	$(CMOCKA_LIBS)
tests_unit_test_replay_session_CPPFLAGS = $(libreader_a_CPPFLAGS)
tests_unit_test_replay_session_SOURCES = tests/unit/test_replay_session.c \
	$(ARCHIVE_SUPPORT)
tests_unit_test_replay_session_LDADD = libreplay.a $(CAPTURE_LIBS) \
	$(CMOCKA_LIBS)
tests_unit_test_decimal_SOURCES = tests/unit/test_decimal.c
tests_unit_test_decimal_LDADD = libcat.a $(TEST_LIBS)
tests_unit_test_printable_SOURCES = tests/unit/test_printable.c
tests_unit_test_printable_LDADD = $(TEST_LIBS)
tests_unit_test_messages_SOURCES = tests/unit/test_messages.c
tests_unit_test_messages_LDADD = $(TEST_LIBS)
tests_unit_test_rename_SOURCES = tests/unit/test_rename.c
tests_unit_test_rename_LDADD = $(TEST_LIBS)
tests_unit_test_regular_CPPFLAGS = $(libreader_a_CPPFLAGS)
tests_unit_test_regular_SOURCES = tests/unit/test_regular.c
tests_unit_test_regular_LDADD = $(READER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_utf8_SOURCES = tests/unit/test_utf8.c
tests_unit_test_utf8_LDADD = libcommon.a $(TEST_LIBS)
tests_unit_test_metrics_SOURCES = tests/unit/test_metrics.c
tests_unit_test_metrics_LDADD = libmetrics.a $(TEST_LIBS) $(JANSSON_LIBS)
tests_unit_test_document_SOURCES = tests/unit/test_document.c
tests_unit_test_document_LDADD = libmetrics.a $(TEST_LIBS) $(JANSSON_LIBS)
tests_unit_test_show_SOURCES = tests/unit/test_show.c
tests_unit_test_show_LDADD = $(DECIMATOR_LIBS) $(TEST_LIBS)
tests_unit_test_history_SOURCES = tests/unit/test_history.c
tests_unit_test_history_LDADD = $(mcrelay_web_LDADD) $(CMOCKA_LIBS)
tests_unit_test_connections_SOURCES = tests/unit/test_connections.c
tests_unit_test_connections_LDADD = $(mcrelay_web_LDADD) $(CMOCKA_LIBS)
tests_unit_test_live_CPPFLAGS = $(libweb_a_CPPFLAGS)
tests_unit_test_live_SOURCES = tests/unit/test_live.c
tests_unit_test_live_LDADD = $(mcrelay_web_LDADD) $(CMOCKA_LIBS)
tests_unit_test_when_SOURCES = tests/unit/test_when.c
tests_unit_test_when_LDADD = $(TEST_LIBS)

#
# Integration tests (pytest), examples, scripts.
#
check_PROGRAMS += tests/integration/vandal
tests_integration_vandal_SOURCES = tests/integration/vandal.c
tests_integration_vandal_LDADD = libcommon.a

EXTRA_DIST += \
	tests/integration/accel.py \
	tests/integration/avro_files.py \
	tests/integration/cat.py \
	tests/integration/browser.py \
	tests/integration/conftest.py \
	tests/integration/card.c \
	tests/integration/cgroup.py \
	tests/integration/container.py \
	tests/integration/container.sh \
	tests/integration/daemon.py \
	tests/integration/exposition.py \
	tests/integration/faults.c \
	tests/integration/forwarding.py \
	tests/integration/fuse.py \
	tests/integration/fuse_server.py \
	tests/integration/gen.py \
	tests/integration/hoarder.c \
	tests/integration/host.c \
	tests/integration/lanes.py \
	tests/integration/manager.py \
	tests/integration/mischief.py \
	tests/integration/mounts.py \
	tests/integration/native.py \
	tests/integration/no_uring.py \
	tests/integration/nats.py \
	tests/integration/nkeys.py \
	tests/integration/net.py \
	tests/integration/poison.c \
	tests/integration/passthrough.c \
	tests/integration/pcap.py \
	tests/integration/probe.py \
	tests/integration/JudgeSchemas.java \
	tests/integration/ReadAvro.java \
	tests/integration/judge_schemas.js \
	tests/integration/read_avro.js \
	tests/integration/prometheus.py \
	tests/integration/readers.py \
	tests/integration/slow_names.c \
	tests/integration/test_alerts.py \
	tests/integration/test_blocks.py \
	tests/integration/test_board.py \
	tests/integration/test_archive.py \
	tests/integration/test_bench.py \
	tests/integration/test_campaign.py \
	tests/integration/test_capabilities.py \
	tests/integration/test_cat.py \
	tests/integration/test_cat_follow.py \
	tests/integration/test_cat_live.py \
	tests/integration/test_cat_packets.py \
	tests/integration/test_catalog.py \
	tests/integration/test_claim.py \
	tests/integration/test_clock.py \
	tests/integration/test_completion.py \
	tests/integration/test_config.py \
	tests/integration/test_containers.py \
	tests/integration/test_control.py \
	tests/integration/test_daemon.py \
	tests/integration/test_decimate.py \
	tests/integration/test_decimators.py \
	tests/integration/test_directories.py \
	tests/integration/test_doctor.py \
	tests/integration/test_events.py \
	tests/integration/test_examples.py \
	tests/integration/test_fleet.py \
	tests/integration/test_forward.py \
	tests/integration/test_forward_live.py \
	tests/integration/test_forward_login.py \
	tests/integration/test_forward_storm.py \
	tests/integration/test_framing.py \
	tests/integration/test_faults.py \
	tests/integration/test_fuse.py \
	tests/integration/test_hand_over.py \
	tests/integration/test_help.py \
	tests/integration/test_hostile.py \
	tests/integration/test_hosts.py \
	tests/integration/test_hosts_storm.py \
	tests/integration/test_inputs.py \
	tests/integration/test_idle.py \
	tests/integration/test_install.py \
	tests/integration/test_isolation.py \
	tests/integration/test_journal.py \
	tests/integration/test_keep_source.py \
	tests/integration/test_kernel_relay.py \
	tests/integration/test_xdp.py \
	tests/integration/test_xdp_card.py \
	tests/integration/test_xdp_old.py \
	tests/integration/test_xdp_vlan.py \
	tests/integration/test_layout.py \
	tests/integration/test_lease.py \
	tests/integration/test_live.py \
	tests/integration/test_load.py \
	tests/integration/test_log.py \
	tests/integration/test_main_job.py \
	tests/integration/test_manager.py \
	tests/integration/test_many_killed.py \
	tests/integration/test_merge.py \
	tests/integration/test_metrics.py \
	tests/integration/test_names.py \
	tests/integration/test_outputs.py \
	tests/integration/test_page.py \
	tests/integration/test_path.py \
	tests/integration/test_pause.py \
	tests/integration/test_poison.py \
	tests/integration/test_power_cut.py \
	tests/integration/test_radar.py \
	tests/integration/test_readers.py \
	tests/integration/test_random_disk.py \
	tests/integration/test_random_faults.py \
	tests/integration/test_random_world.py \
	tests/integration/test_recipes.py \
	tests/integration/test_recycle.py \
	tests/integration/test_reload.py \
	tests/integration/test_remote.py \
	tests/integration/test_restart.py \
	tests/integration/test_rundir.py \
	tests/integration/schema_kinds.jsonl \
	tests/integration/test_schema_kinds.py \
	tests/integration/test_schemas.py \
	tests/integration/test_sequence.py \
	tests/integration/test_shared.py \
	tests/integration/test_shards.py \
	tests/integration/test_shared_port.py \
	tests/integration/test_shown.py \
	tests/integration/test_small.py \
	tests/integration/test_stream_archive.py \
	tests/integration/test_stream_read.py \
	tests/integration/test_together.py \
	tests/integration/test_turns.py \
	tests/integration/test_units.py \
	tests/integration/test_uring.py \
	tests/integration/test_users.py \
	tests/integration/test_upgrade.py \
	tests/integration/test_watch.py \
	tests/integration/test_web.py \
	tests/integration/test_web_hostile.py \
	tests/integration/test_web_users.py \
	tests/integration/test_samples.py \
	tests/integration/test_sandbox.py \
	tests/integration/test_systemd.py \
	tests/integration/test_tools.py \
	tests/integration/test_top.py \
	tests/integration/test_window.py \
	tests/integration/test_voice.py \
	tests/integration/test_waiting.py \
	tests/integration/test_membership.py \
	tests/integration/test_world.py \
	tests/integration/test_world_storm.py \
	tests/integration/test_world_upgrade.py \
	tests/integration/waiting.py

EXTRA_DIST += tests/page/driver.mjs tests/page/package.json \
	tests/page/package-lock.json

# Without PYTHON (`make check PYTHON=') only the unit tests run.
check-local: all
	@if test -n "$(PYTHON)"; then \
		MCRELAY_BUILDDIR="$(abs_builddir)" $(PYTHON) -B -m pytest -q \
		    -p no:cacheprovider "$(abs_srcdir)/tests/integration"; \
	else \
		echo "integration tests left out: no Python with" \
		    "pytest and avro"; \
	fi
