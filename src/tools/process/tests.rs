//! Children: their input, output and end.

use std::sync::Mutex;

use super::heard::MAX_STDERR;
use super::*;

fn call<'a>(script: &str, stdin: Option<&'a [u8]>, folder: &'a Path) -> Call<'a> {
    let args = vec!["-c".to_owned(), script.to_owned()];
    let variables = vec![("PATH".into(), "/usr/bin:/bin".into())];
    Call { program: Path::new("/bin/sh"), args, variables, stdin, output_folder: folder, born: None, listener: None }
}

#[tokio::test]
async fn input_goes_in_and_output_comes_out() {
    let folder = tempfile::tempdir().unwrap();
    let (_say, interrupt) = Interrupt::pair();
    let out = run(call("cat; echo $HOME", Some(b"hello "), folder.path()), &interrupt).await.unwrap();
    assert_eq!(out, b"hello \n");
    let big = vec![b'x'; 3_000_000];
    assert_eq!(run(call("cat", Some(&big), folder.path()), &interrupt).await.unwrap().len(), big.len());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_child_that_is_left_alone_still_gets_its_whole_input() {
    let folder = tempfile::tempdir().unwrap();
    let (_say, interrupt) = Interrupt::pair();
    let input = vec![b'x'; 3_000_000];
    let counted = folder.path().join("counted");
    let script = format!("sleep 0.2; wc -c > {0}.part; mv {0}.part {0}", counted.display());
    tokio::select! {
        result = run(call(&script, Some(&input), folder.path()), &interrupt) => panic!("{result:?}"),
        () = tokio::time::sleep(std::time::Duration::from_millis(50)) => {}
    }
    for _ in 0..100 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        if let Ok(count) = std::fs::read_to_string(&counted) {
            assert_eq!(count.trim(), "3000000");
            return;
        }
    }
    panic!("the child did not end");
}

#[tokio::test]
async fn secret_output_lies_in_memory() {
    let folder = Path::new("/nonexistent"); // no file can be made there
    let (_say, interrupt) = Interrupt::pair();
    let script = "readlink /proc/$$/fd/1 /proc/$$/fd/2; echo why >&2; cat";
    let out = run_in_memory(call(script, Some(b"value"), folder), &interrupt).await.unwrap();
    let out = String::from_utf8(out).unwrap();
    assert_eq!(out, "/memfd:output (deleted)\n/memfd:error (deleted)\nvalue");
    let error = run_in_memory(call("echo why >&2; exit 51", None, folder), &interrupt).await.unwrap_err();
    assert_eq!((error.stderr(), error.code()), ("why\n", Some(51)));
}

#[tokio::test]
async fn at_the_terminal_a_child_stays_in_the_process_group() {
    let folder = tempfile::tempdir().unwrap();
    let (_say, interrupt) = Interrupt::pair();
    let own = rustix::process::getpgrp().as_raw_nonzero();
    let script = format!("read -r _ _ _ _ group _ </proc/$$/stat; [ \"$group\" = {own} ] || exit 7");
    run_at_terminal(call(&script, None, folder.path()), &interrupt).await.unwrap();
    let error = run_at_terminal(call("exit 200", None, folder.path()), &interrupt).await.unwrap_err();
    assert_eq!(error.code(), Some(200));
}

#[tokio::test]
async fn a_failure_carries_command_status_and_word() {
    let folder = tempfile::tempdir().unwrap();
    let (_say, interrupt) = Interrupt::pair();
    let error = run(call("echo why >&2; exit 3", None, folder.path()), &interrupt).await.unwrap_err();
    assert_eq!(error.to_string(), "sh -c 'echo why >&2; exit 3': exit status 3");
    assert_eq!(error.stderr(), "why\n");
}

#[tokio::test]
async fn of_a_long_word_only_whole_lines_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (_say, interrupt) = Interrupt::pair();
    let script = "i=0; while [ $i -lt 9000 ]; do echo line-$i; i=$((i+1)); done >&2; exit 1";
    let error = run(call(script, None, folder.path()), &interrupt).await.unwrap_err();
    assert!(error.stderr().len() > MAX_STDERR - 20 && error.stderr().lines().all(|l| l.starts_with("line-")));
    let script = "head -c 200000 /dev/zero | tr '\\0' x >&2; exit 1";
    assert_eq!(run(call(script, None, folder.path()), &interrupt).await.unwrap_err().stderr(), "");
}

#[tokio::test]
async fn an_interrupt_reaches_the_child_once_and_it_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (say, interrupt) = Interrupt::pair();
    let ready = folder.path().join("ready");
    // It waits for the signal however long that takes on a busy host, and then for a second one that must not come.
    let script = format!(
        "n=0; trap 'n=$((n+1))' INT; : >{}; i=0; \
         while [ $n = 0 ] && [ $i -lt 300 ]; do sleep 0.1; i=$((i+1)); done; sleep 0.3; sleep 0.1; echo got $n >&2; exit 5",
        ready.display()
    );
    let running = run(call(&script, None, folder.path()), &interrupt);
    let saying = async {
        while !ready.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        say.say();
        say.say();
    };
    let (result, ()) = tokio::join!(running, saying);
    let error = result.unwrap_err();
    assert!(error.interrupted());
    assert_eq!(error.stderr(), "got 1\n");
}

#[tokio::test]
async fn a_listener_hears_its_lines_while_the_child_runs_and_they_are_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (_say, interrupt) = Interrupt::pair();
    let (heard, told): (Mutex<Vec<String>>, _) = (Mutex::default(), folder.path().join("told"));
    let hear = |line: &str| {
        heard.lock().unwrap().push(line.to_owned());
        std::fs::write(&told, "").unwrap();
    };
    let listener = Some(Listener { is_own: |line| line.starts_with("log: "), hear: &hear });
    // The child goes on only when its line was heard.
    let script = format!(
        "printf 'log: o' >&2; sleep 0.1; printf 'ne\\nwhy\\n' >&2; \
         i=0; until [ -e {0} ]; do i=$((i+1)); [ $i -lt 300 ] || exit 9; sleep 0.1; done; echo secret; exit 3",
        told.display()
    );
    let call = Call { listener, ..call(&script, None, folder.path()) };
    let error = run_for_effect(call, &interrupt).await.unwrap_err();
    assert_eq!((error.code(), error.stderr()), (Some(3), "why\n"));
    assert_eq!(heard.into_inner().unwrap(), ["log: one"]);
}

#[tokio::test]
async fn what_is_run_for_its_effect_prints_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let (_say, interrupt) = Interrupt::pair();
    let script = "[ \"$(readlink /proc/$$/fd/1)\" = /dev/null ] && echo secret";
    run_for_effect(call(script, None, folder.path()), &interrupt).await.unwrap();
}
