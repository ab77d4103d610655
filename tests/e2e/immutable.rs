//! Fields that the API server never changes: each of the list is tried on the real one.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::platform::Small;
use crate::rig::rig;

/// Objects with a field each that follows the value `side`, and never changes.
const FIXED: &str = "{{- $name := .Release.Name }}
{{- $side := .Values.side }}
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: {{ $name }}-set}
spec:
  serviceName: {{ $side }}
  {{- with .Values.policy }}
  podManagementPolicy: {{ . }}
  {{- end }}
  selector: {matchLabels: {app: set}}
  template:
    metadata: {labels: {app: set}}
    spec: {containers: [{name: main, image: \"registry.example.org/e2e/app:1\"}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ $name }}-web}
spec:
  selector: {matchLabels: {side: {{ $side }}}}
  template:
    metadata: {labels: {side: {{ $side }}}}
    spec: {containers: [{name: main, image: \"registry.example.org/e2e/app:1\"}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: {{ $name }}-agent}
spec:
  selector: {matchLabels: {agent: {{ $side }}}}
  template:
    metadata: {labels: {agent: {{ $side }}}}
    spec: {containers: [{name: main, image: \"registry.example.org/e2e/app:1\"}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: {{ $name }}-job}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: \"registry.example.org/e2e/job:1\", args: [{{ $side }}]}]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: {{ $name }}-data}
spec: {accessModes: [{{ if eq $side \"left\" }}ReadWriteOnce{{ else }}ReadWriteMany{{ end }}], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Service
metadata: {name: {{ $name }}-service}
spec: {selector: {app: set}, clusterIP: {{ if eq $side \"left\" }}None{{ else }}10.96.77.77{{ end }}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Secret
metadata: {name: {{ $name }}-secret}
type: e2e.example.org/{{ $side }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ $name }}-config}
immutable: true
data: {side: {{ $side }}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: {{ $name }}-binding}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{ if eq $side \"left\" }}view{{ else }}edit{{ end }}}
subjects: []
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: {{ $name }}-immutable}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{ if eq $side \"left\" }}view{{ else }}edit{{ end }}}
subjects: []
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: {{ $name }}-immutable}
provisioner: e2e.example.org/{{ $side }}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: {{ $name }}-immutable}
value: {{ if eq $side \"left\" }}1{{ else }}2{{ end }}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: {{ $name }}-immutable}
spec: {controller: e2e.example.org/{{ $side }}}
";

const FIELDS: [(&str, &str); 13] = [
    ("StatefulSet app-set", "spec.serviceName"),
    ("Deployment app-web", "spec.selector"),
    ("DaemonSet app-agent", "spec.selector"),
    ("Job app-job", "spec.template"),
    ("PersistentVolumeClaim app-data", "spec.accessModes"),
    ("Service app-service", "spec.clusterIP"),
    ("Secret app-secret", "type"),
    ("ConfigMap app-config", "data"),
    ("RoleBinding app-binding", "roleRef"),
    ("ClusterRoleBinding app-immutable", "roleRef"),
    ("StorageClass app-immutable", "provisioner"),
    ("PriorityClass app-immutable", "value"),
    ("IngressClass app-immutable", "spec.controller"),
];

/// The objects' identities, by kind and name.
fn uids() -> BTreeMap<String, String> {
    let identity = |title: &str| {
        let (kind, name) = title.split_once(' ').unwrap();
        let object = rig().get(&[kind, name, "--namespace=immutable"]);
        (title.to_owned(), object["metadata"]["uid"].as_str().unwrap().to_owned())
    };
    FIELDS.iter().map(|(title, _)| identity(title)).collect()
}

#[test]
fn what_can_not_be_changed_in_place_is_found_before_anything_is() {
    let small = Small::new("immutable").release("one", "app", "");
    small.put("templates/one/app/chart/templates/deployment.yaml", FIXED);
    small.put("templates/one/app/chart/values.yaml", "side: left\npolicy: \"\"\nhooks: 0\n");
    let small = small.locked();
    small.apply().ok();
    let before = uids();
    let records = rig().records("immutable");

    small.values("app", "side: right\n");
    let output = small.apply().exits(4);
    for (title, field) in FIELDS {
        let said = format!("error[E0445]: app: {title}: `{field}` can't be changed in place");
        assert!(output.stderr.contains(&said), "no `{said}` in\n{}", output.screen());
    }
    assert!(
        output.stderr.contains("--recreate PersistentVolumeClaim/app-data: its data is lost"),
        "{}",
        output.screen()
    );
    // A plan says it beforehand, in the same words.
    let plan = small.run(&["plan", "-e", "site"]).ok();
    let (_, refused) = plan.stdout.split_once("apply would change nothing, for 13 reasons\n").unwrap();
    assert!(output.stderr.contains(refused.rsplit_once("1 upgrade").unwrap().0), "{}", plan.screen());
    let dry = small.run(&["apply", "-e", "site", "--dry-run", "--recreate", "app"]).ok();
    assert!(dry.stderr.contains("deletes StatefulSet/app-set and makes it anew"), "{}", dry.screen());
    assert!(dry.stderr.contains("for 1 reason\nerror[E0445]: app: PersistentVolumeClaim app-data"), "{}", dry.screen());
    assert_eq!((uids(), rig().records("immutable")), (before.clone(), records.clone()), "nothing was changed");

    // A release's name is not enough for what holds data.
    let output = small.run(&["apply", "-e", "site", "--recreate", "app"]).exits(4);
    let errors = output.stderr.matches("error[E0445]").count();
    assert!(errors == 1 && output.stderr.contains("PersistentVolumeClaim app-data"), "{}", output.screen());
    assert_eq!(rig().records("immutable"), records);
    small.run(&["apply", "-e", "site", "--recreate", "elsewhere"]).exits(64);

    let pod = || rig().get(&["pod", "app-set-0", "--namespace=immutable"]);
    let created = |pod: &Value| pod["metadata"]["creationTimestamp"].clone();
    let old = created(&pod());
    let args = ["apply", "-e", "site", "--recreate", "app", "--recreate", "PersistentVolumeClaim/app-data"];
    small.run(&args).ok();
    let after = uids();
    let kept: Vec<&String> = before.keys().filter(|title| before[*title] == after[*title]).collect();
    assert_eq!(kept, Vec::<&String>::new(), "each was made anew");
    assert_eq!(created(&pod()), old, "a StatefulSet's pods are taken over: its template is the same");
    let set = rig().get(&["statefulset", "app-set", "--namespace=immutable"]);
    assert_eq!(set["spec"]["serviceName"], "right");
    assert_eq!(small.states(), [("app".to_owned(), "deployed".to_owned())]);

    // Written out, a default is no change: the API server is asked before anything is refused.
    small.values("app", "side: right\npolicy: OrderedReady\n");
    small.apply().ok();
    assert_eq!(uids(), after);
    for kind in ["storageclass", "priorityclass", "ingressclass", "clusterrolebinding"] {
        let _ = rig().tool("kubectl", &["delete", kind, "app-immutable"]);
    }
}

/// Two Jobs and a Secret that never change: a secret in one, a sum of it in the other.
const SECRET: &str = "apiVersion: batch/v1
kind: Job
metadata: {name: {{ .Release.Name }}-told}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - {name: main, image: \"registry.example.org/e2e/job:1\", env: [{name: TOKEN, value: {{ .Values.token | quote }}}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: {{ .Release.Name }}-summed}
spec:
  template:
    metadata: {annotations: {checksum/secret: {{ .Values.token | sha256sum }}}}
    spec:
      restartPolicy: Never
      containers: [{name: main, image: \"registry.example.org/e2e/job:1\"}]
---
apiVersion: v1
kind: Secret
metadata: {name: {{ .Release.Name }}-frozen}
immutable: true
data: {token: {{ .Values.token | b64enc }}}
";

/// What holds a secret, or follows one, is compared with the secret itself, where there is a key.
#[test]
fn fields_that_never_change_and_hold_secrets_are_foreseen() {
    let small = Small::new("immutable-secret").release("one", "app", "");
    small.put("templates/one/app/chart/templates/secret.yaml", SECRET);
    small.put("templates/one/app/values.yaml", "token: \"{{ secret('app.token') }}\"\n");
    small.edit("environments/site/environment.yaml", "kubectl: 1.34.4", "kubectl: 1.34.4, sops: 3.13.3");
    let key = small.key();
    small.seal(&json!({"app": {"token": "hush-old-word"}}));
    let small = small.locked();
    let run = |args: &[&str]| {
        let output = small.platctl().env("SOPS_AGE_KEY_FILE", &key).args(args).run();
        assert!(!output.screen().contains("-word"), "{}", output.screen());
        output
    };
    run(&["apply", "-e", "site"]).ok();
    // The secret is what it was: nothing of it is in the way of another change.
    small.values("app", "replicas: 2\n");
    let plan = run(&["plan", "-e", "site"]).ok();
    assert!(!plan.stdout.contains("apply would change nothing"), "{}", plan.screen());
    run(&["apply", "-e", "site"]).ok();

    small.seal(&json!({"app": {"token": "hush-new-word"}}));
    let records = rig().records("immutable-secret");
    let output = run(&["apply", "-e", "site"]).exits(4);
    let plan = run(&["plan", "-e", "site"]).ok();
    for (title, field) in
        [("Job app-told", "spec.template"), ("Job app-summed", "spec.template"), ("Secret app-frozen", "data")]
    {
        let said = format!("error[E0445]: app: {title}: `{field}` can't be changed in place");
        assert!(output.stderr.contains(&said), "no `{said}` in\n{}", output.screen());
        assert!(plan.stdout.contains(&said), "no `{said}` in\n{}", plan.screen());
    }
    assert_eq!(rig().records("immutable-secret"), records, "nothing was changed");
    // Without a key that can't be told, and is said.
    let plan = small.run(&["plan", "-e", "site"]).ok();
    assert!(plan.stdout.contains("fields that never change are not compared: "), "{}", plan.screen());
    assert!(!plan.stdout.contains("E0445"), "{}", plan.screen());
    run(&["apply", "-e", "site", "--recreate", "app"]).ok();
    let frozen = rig().get(&["secret", "app-frozen", "--namespace=immutable-secret"]);
    assert_eq!(frozen["data"]["token"], "aHVzaC1uZXctd29yZA==");
}

#[test]
fn a_claim_that_would_shrink_is_found_before_anything_is_changed() {
    let small = Small::new("shrinking").release("one", "app", "");
    let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\n\
        spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: {{ .Values.size }}}}}\n";
    small.put("templates/one/app/chart/templates/claim.yaml", claim);
    small.put("templates/one/app/chart/values.yaml", "size: 2Gi\nreplicas: 1\nbehaviour: \"\"\nhooks: 0\n");
    let small = small.locked();
    small.apply().ok();
    // As whoever makes volumes says it.
    let status = r#"{"status": {"phase": "Bound", "capacity": {"storage": "2Gi"}}}"#;
    let args = ["patch", "pvc/data", "-n", "shrinking", "--subresource=status", "--type=merge", "-p", status];
    rig().kubectl(&args);
    small.values("app", "size: 1Gi\n");
    let output = small.apply().exits(4);
    let said = "app: PersistentVolumeClaim data: `spec.resources.requests.storage` can't be changed in place";
    assert!(output.stderr.contains(said), "{}", output.screen());
    assert!(output.stderr.contains("field can not be less than status.capacity"), "{}", output.screen());
    let help = "--recreate PersistentVolumeClaim/data: its data is lost then";
    assert!(output.stderr.contains(help), "{}", output.screen());
}
