package pipe

import (
	"context"
	"fmt"
	"testing"
	"time"
)

func TestCall(t *testing.T) {
	for _, workerFirst := range []bool{false, true} {
		inServiceWorld(t, Config{}, func(w *world) {
			var caller, worker *peer
			if workerFirst {
				worker = w.work("w")
				w.looksService(0, 1, true)
				caller = w.call("c")
			} else {
				caller = w.call("c")
				w.looksService(1, 0, true)
				worker = w.work("w")
			}
			w.looksService(0, 0, true)
			w.looks(0, 0, false)
			worker.ends(Delivered)
			worker.got("qc")
			caller.pending()
			answer := w.answer("a", worker)
			caller.ends(Answered)
			caller.got("aa")
			answer.ends(Delivered)
			w.looksService(0, 0, false)
			w.told("match c w", "end c w delivered 2", "match a c", "end a c delivered 2", "call c a answered")
			if x := answer.request.exchange; x.ReplyTo != worker.request.exchange || x.Call != nil {
				w.t.Errorf("the answer is to %v, and has the call %v", x.ReplyTo, x.Call)
			}
		})
	}
}

func TestCallStreams(t *testing.T) {
	inServiceWorld(t, Config{}, func(w *world) {
		caller, worker := w.callWith("c", firstBytes("one")), w.work("w")
		worker.got("one")
		caller.sends(" two")
		worker.got("one two")
		caller.finishes()
		worker.ends(Delivered)
		answer := w.answerTo(worker.request.exchange.Call.ReplyID, "a", firstBytes("three"))
		caller.got("three")
		answer.finishes()
		caller.ends(Answered)
		answer.ends(Delivered)
	})
}

// Several calls of a service run at once, and each answer reaches its own caller, in whatever order they come.
func TestCallsRunAtOnce(t *testing.T) {
	inServiceWorld(t, Config{}, func(w *world) {
		var callers, workers []*peer
		for i := range 5 {
			callers = append(callers, w.call(fmt.Sprint("c", i)))
		}
		for i := range 5 {
			workers = append(workers, w.work(fmt.Sprint("w", i)))
			workers[i].got(fmt.Sprint("qc", i))
		}
		for _, i := range []int{3, 0, 4, 1, 2} {
			callers[i].pending()
			w.answer(fmt.Sprint("a", i), workers[i]).ends(Delivered)
			callers[i].got(fmt.Sprint("aa", i))
		}
	})
}

// A channel and a service of one name do not meet.
func TestServiceIsNoChannel(t *testing.T) {
	inServiceWorld(t, Config{}, func(w *world) {
		caller, consumer := w.call("c"), w.consume("q")
		w.looks(0, 1, true)
		w.looksService(1, 0, true)
		w.deletes(home, true)
		consumer.ends(Deleted)
		caller.pending()
		w.deletesService(true)
		caller.ends(Deleted)
		w.deletesService(false)
	})
}

func TestEarlyAnswer(t *testing.T) {
	inServiceWorld(t, Config{}, func(w *world) {
		caller, worker := w.callWith("c", firstBytes("one")), w.work("w")
		answer := w.answer("a", worker)
		answer.pending()
		caller.got("")
		w.answer("b", worker).refusedBy(NoCall)
		caller.finishes()
		caller.ends(Answered)
		answer.ends(Delivered)
	})
	inServiceWorld(t, Config{}, func(w *world) { // the worker gives up its answer, and gives another
		caller, worker := w.callWith("c", firstBytes("one")), w.work("w")
		w.answer("a", worker, waitingFor(0)).ends(TimedOut)
		answer := w.answer("a", worker, waitingFor(time.Second))
		w.after(time.Second)
		answer.ends(TimedOut)
		answer = w.answer("b", worker)
		answer.leaves()
		answer.ends(Left)
		answer = w.answer("d", worker, waitingFor(time.Second))
		caller.finishes()
		caller.got("ad")
		answer.ends(Delivered)
	})
}

func TestAnswersThatFindNoCall(t *testing.T) {
	inServiceWorld(t, Config{}, func(w *world) {
		caller, worker := w.call("c"), w.work("w")
		id := worker.request.exchange.Call.ReplyID
		w.answerTo("r999", "stranger", whole("x")).refusedBy(NoCall)
		w.answerTo(id, "elsewhere", whole("x"), at(Key{"home", "other"})).refusedBy(NoCall)
		caller.pending()
		answer := w.answerTo(id, "a", firstBytes("one"))
		w.answer("second", worker).refusedBy(NoCall)
		answer.finishes()
		w.answer("third", worker).refusedBy(NoCall)
		caller.got("one")
	})
}

func TestUnanswered(t *testing.T) {
	inServiceWorld(t, Config{ReplyTimeout: time.Minute}, func(w *world) {
		caller, worker := w.callWith("c", firstBytes("one")), w.work("w")
		w.after(2 * time.Minute)
		caller.pending() // its request has not ended
		caller.finishes()
		w.after(time.Minute - 1)
		caller.pending()
		late := w.answerTo(worker.request.exchange.Call.ReplyID, "silent") // nothing has come of it
		w.after(1)
		caller.ends(Unanswered)
		late.refusedBy(NoCall)
		w.answer("a", worker).refusedBy(NoCall)

		caller, worker = w.call("c2"), w.work("w2")
		answer := w.answerTo(worker.request.exchange.Call.ReplyID, "slow", firstBytes("one"))
		w.after(time.Hour)
		answer.finishes()
		caller.ends(Answered)
	})
}

// A caller that hangs up is out of the queue, or its call ends, and the answer is told of it.
func TestCallerLeaves(t *testing.T) {
	inServiceWorld(t, Config{}, func(w *world) {
		w.call("waiting").leaves()
		w.looksService(0, 0, false)
		w.told("unmatched waiting left")

		caller, worker := w.call("c"), w.work("w")
		caller.leaves()
		caller.ends(Left)
		w.answer("a", worker).ends(ConsumerLeft)
		w.told("match c w", "end c w delivered 2", "call c - left", "unmatched a consumer_left")

		caller, worker = w.callWith("c", firstBytes("one")), w.work("w") // during its request
		early := w.answer("a", worker)
		caller.leaves()
		early.pending()
		caller.fails(errInterrupted)
		worker.ends(ProducerLeft)
		early.ends(ConsumerLeft)
		w.answer("b", worker).ends(ConsumerLeft)
		w.told("match c w", "end c w producer_left 3", "unmatched a consumer_left", "call c - left", "unmatched b consumer_left")

		caller, worker = w.call("c"), w.held("w", ofService) // behind its request
		caller.leaves()
		worker.releases()
		worker.ends(Delivered)
		caller.ends(Left)
		w.answer("a", worker).ends(ConsumerLeft)
		w.told("match c w", "end c w delivered 2", "call c - left", "unmatched a consumer_left")

		caller, worker = w.call("c"), w.work("w") // during its answer
		answer := w.answerTo(worker.request.exchange.Call.ReplyID, "a", firstBytes("one"))
		caller.leaves()
		caller.ends(ConsumerLeft)
		answer.ends(ConsumerLeft)
		w.told("match c w", "end c w delivered 2", "match a c", "end a c consumer_left 3", "call c a left")

		caller, worker = w.call("c"), w.work("w") // unnoticed until the answer comes
		caller.hungUp.Store(true)
		w.answer("a", worker).ends(ConsumerLeft)
		caller.ends(Left)
	})
}

// Only the calls that ended last are remembered.
func TestRememberedCalls(t *testing.T) {
	inServiceWorld(t, Config{}, func(w *world) {
		var first, second string
		for i := range rememberedCalls + 1 {
			caller := w.call("c")
			id := w.work("w").request.exchange.Call.ReplyID
			caller.leaves()
			switch i {
			case 0:
				first = id
			case 1:
				second = id
			}
		}
		w.answerTo(first, "a", whole("x")).refusedBy(NoCall)
		w.answerTo(second, "b", whole("x")).ends(ConsumerLeft)
		w.answerTo(second, "elsewhere", whole("x"), at(Key{"home", "other"})).refusedBy(NoCall)
	})
}

func TestWorkerLeaves(t *testing.T) {
	inServiceWorld(t, Config{}, func(w *world) {
		w.work("waiting").leaves()
		w.told("unmatched waiting left")

		caller, worker := w.callWith("c", firstBytes("one")), w.work("w") // during the request
		early := w.answer("a", worker)
		worker.leaves()
		caller.ends(ConsumerLeft)
		early.refusedBy(NoCall)
		w.told("match c w", "end c w consumer_left 3", "unmatched a refused", "call c - consumer_left")

		caller, worker = w.call("c"), w.work("w") // its answer can come from another connection
		worker.leaves()
		caller.pending()
		answer := w.answerTo(worker.request.exchange.Call.ReplyID, "a") // before it says anything
		answer.leaves()
		answer.ends(Left)
		answer = w.answerTo(worker.request.exchange.Call.ReplyID, "a", firstBytes("one"))
		answer.fails(errInterrupted) // during its answer
		caller.ends(ProducerLeft)
		answer.ends(ProducerLeft)
		w.told("match c w", "end c w delivered 2", "unmatched a left", "match a c", "end a c producer_left 3", "call c a producer_left")
	})
}

// A request or an answer ends as on a channel.
func TestCallEndings(t *testing.T) {
	for _, o := range []Outcome{Stalled, Silent, TooLarge} {
		inServiceWorld(t, Config{}, func(w *world) {
			caller, worker := w.callWith("c", firstBytes("one")), w.work("w")
			worker.cuts(o)
			caller.ends(o)
			w.answer("a", worker).refusedBy(NoCall)

			caller, worker = w.call("c"), w.work("w")
			answer := w.answerTo(worker.request.exchange.Call.ReplyID, "a", firstBytes("one"))
			answer.cuts(o)
			caller.ends(o)
			answer.ends(o)
		})
	}
}

func TestServiceDeleted(t *testing.T) {
	inServiceWorld(t, Config{}, func(w *world) {
		early, sending := w.callWith("early", firstBytes("one")), w.work("w1")
		earlyAnswer := w.answer("a1", sending)
		unanswered, _ := w.call("unanswered"), w.work("w2")
		answered, third := w.call("answered"), w.work("w3")
		answer := w.answerTo(third.request.exchange.Call.ReplyID, "a3", firstBytes("one"))
		waiting := w.call("waiting")
		w.deletesService(true)
		for _, p := range []*peer{early, sending, earlyAnswer, unanswered, answered, answer, waiting} {
			p.ends(Deleted)
		}
		w.looksService(0, 0, false)
		w.answer("late", third).refusedBy(NoCall)
	})
	inServiceWorld(t, Config{}, func(w *world) { // too late for the request, but not for its answer
		caller, worker := w.call("c"), w.held("w", ofService, func(p *peer) { p.sink.stubborn = true })
		w.deletesService(true)
		worker.releases()
		worker.ends(Delivered)
		caller.ends(Deleted)
	})
	inServiceWorld(t, Config{}, func(w *world) { // another cut that comes too late changes nothing
		caller, worker := w.call("c"), w.held("w", ofService, func(p *peer) { p.sink.stubborn = true })
		worker.cuts(Stalled)
		worker.releases()
		worker.ends(Delivered)
		w.answer("a", worker).ends(Delivered)
		caller.ends(Answered)
	})
	inServiceWorld(t, Config{}, func(w *world) { // a new life is another service
		caller, worker := w.call("c"), w.held("w", ofService, func(p *peer) { p.sink.stubborn = true })
		w.deletesService(true)
		next, nextWorker := w.call("next"), w.work("v")
		worker.releases()
		caller.ends(Deleted)
		w.answer("a", nextWorker).ends(Delivered)
		next.ends(Answered)
	})
}

// A shutdown takes no new calls, and gives those that run time for their answers.
func TestServiceShutdown(t *testing.T) {
	inServiceWorld(t, Config{}, func(w *world) {
		caller, worker := w.call("c"), w.work("w")
		other, second := w.callWith("other", firstBytes("one")), w.work("v")
		waiting := w.call("waiting")
		ctx, cut := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			w.broker.Shutdown(ctx)
			close(done)
		}()
		w.settle()
		waiting.ends(ShutDown)
		w.call("late").ends(ShutDown)
		w.work("late").ends(ShutDown)
		w.answer("a", worker).ends(Delivered)
		caller.ends(Answered)
		other.finishes()
		second.ends(Delivered)
		select {
		case <-done:
			w.t.Error("the shutdown does not wait for the answer")
		default:
		}
		cut()
		w.settle()
		<-done
		other.ends(ShutDown)
		w.answer("b", second).refusedBy(NoCall)
	})
}

// A service has the limits of a channel, and a caller that waits for its answer counts as a waiter.
func TestServiceLimits(t *testing.T) {
	inServiceWorld(t, Config{Limits: Limits{Waiting: 2, PerClient: 2}}, func(w *world) {
		first, worker := w.call("c"), w.work("w")
		w.call("second")
		w.call("third").refusedBy(LimitWaiting)
		w.work("v").ends(Delivered) // a caller waits for it
		w.work("u").refusedBy(LimitWaiting)
		w.answer("a", worker).ends(Delivered)
		first.ends(Answered)
		w.call("fourth").pending()
	})
}

// With Config.Strict neither the request nor the answer begins before the record of its match is safe.
func TestServiceStrict(t *testing.T) {
	inServiceWorld(t, Config{Strict: true}, func(w *world) {
		safe := make(commit)
		w.journal.matched = safe
		caller, worker := w.call("c"), w.work("w")
		worker.got("")
		safe <- nil
		w.settle()
		worker.ends(Delivered)
		w.journal.matched = failedCommit{errInterrupted}
		w.answer("a", worker).ends(Unrecorded)
		caller.ends(Unrecorded)
		caller.got("")
	})
}

// A request that was delivered and could not be recorded does not fail its call: its worker has it.
func TestServiceUnrecorded(t *testing.T) {
	inServiceWorld(t, Config{}, func(w *world) {
		w.journal.ended = failedCommit{errInterrupted}
		caller, worker := w.call("c"), w.work("w")
		if got := w.journal.decided[worker.request.exchange]; len(got) != 1 || got[0] != Unrecorded {
			w.t.Errorf("the recorder was told %q", got)
		}
		w.answer("a", worker).ends(Unrecorded)
		caller.ends(Answered)
	})
}
