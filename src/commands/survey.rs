//! What a live cluster says of itself: its version, and everything it offers, asked of the API server through kubectl.
//! Must not judge it.

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::capabilities::{self, Capabilities, Discovery, Unreadable};
use crate::tools::Kubectl;
use crate::ui::failure::{self, Code, Failure, Failures, Kind};

/// How many questions are asked at once.
const AT_ONCE: usize = 4;

/// A live cluster.
pub struct Survey {
    /// What it offers, with its version.
    pub offers: Capabilities,
    /// Group/versions whose kinds it can't say, with its word: a server behind it does not answer.
    pub silent: Vec<(String, String)>,
}

/// Asks the cluster. All group/versions count, not only preferred ones: charts ask for any.
///
/// # Errors
/// [`Failures`] when it can't be reached or does not answer as an API server does.
pub async fn survey(kubectl: &Kubectl) -> Result<Survey, Failures> {
    let version = answer(kubectl, "/version").await?;
    let version: serde_json::Value = serde_json::from_str(&version).unwrap_or_default();
    let version = version["gitVersion"].as_str().unwrap_or_default();
    let (api, apis) = tokio::try_join!(answer(kubectl, "/api"), answer(kubectl, "/apis"))?;
    let questions = capabilities::group_versions(&api, &apis).map_err(|e| unreadable(&e))?;
    let mut offers = Capabilities::new(version.strip_prefix('v').unwrap_or(version), "the cluster");
    let mut silent = Vec::new();
    let asking = questions.iter().map(|question| kinds(kubectl, question));
    let answers: Vec<Result<String, String>> = stream::iter(asking).buffered(AT_ONCE).try_collect().await?;
    for (question, answer) in questions.iter().zip(answers) {
        match answer {
            Ok(list) => question.record(&list, &mut offers).map_err(|e| unreadable(&e))?,
            Err(word) => {
                offers.add(&question.group_version, None::<String>);
                silent.push((question.group_version.clone(), word));
            }
        }
    }
    Ok(Survey { offers, silent })
}

/// The list of a group/version's kinds, or the word of a server that does not say them.
async fn kinds(kubectl: &Kubectl, question: &Discovery) -> Result<Result<String, String>, Failures> {
    match kubectl.answer(&question.path).await {
        Ok(list) => Ok(Ok(list)),
        // Only servers behind the API server are down alone.
        Err(error) if error.interrupted() || question.path.starts_with("/api/") => Err(unanswered(&error)),
        Err(error) => Ok(Err(error.stderr().lines().last().unwrap_or("no answer").to_owned())),
    }
}

async fn answer(kubectl: &Kubectl, path: &str) -> Result<String, Failures> {
    kubectl.answer(path).await.map_err(|error| unanswered(&error))
}

fn unanswered(error: &crate::tools::CallError) -> Failures {
    failure::cluster("cannot ask the cluster what it offers", error)
}

fn unreadable(error: &Unreadable) -> Failures {
    let failure = Failure::caused(Code::Cluster, Kind::Permanent, error);
    failure
        .help("check that the kubeconfig names an API server, and nothing before it that answers in its place")
        .into()
}
