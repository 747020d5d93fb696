"""scikit-learn's worked-out training step of a perceptron -> mlp_sklearn.json.

Run: python mlp_sklearn.py      Made with scikit-learn 1.9.1, numpy 2.4.6, Python 3.11.

The numbers in "published" are those of scikit-learn's own test (see "source"), good
to 3 decimals (worked by hand from rounded values, and W1grad31 with 0.6 for the
input 0.7); those in "computed" come from running scikit-learn here, in full.
The network is Dense(2, sigmoid), Dense(1, sigmoid) with binary cross-entropy, one
plain SGD step. alpha is an L2 penalty alpha / 2 * sum(w^2) / samples on the weights
only: it adds alpha * w to a weight's gradient (one sample) and nothing to a bias's.
"""
import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier

from common import tensor, write

SOURCE = ("scikit-learn " + sklearn.__version__ + ", sklearn/neural_network/tests/test_mlp.py, test_fit "
          "(BSD-3-Clause); compared there with assert_almost_equal(decimal=3)")
x, y, rate, alpha = np.array([[0.6, 0.8, 0.7]]), np.array([0]), 0.1, 0.1
start = {"0.weight": np.array([[0.1, 0.2], [0.3, 0.1], [0.5, 0]]), "0.bias": np.array([0.1, 0.1]),
         "1.weight": np.array([[0.1], [0.2]]), "1.bias": np.array([1.0])}
published = {"0.weight": np.array([[0.098, 0.195756], [0.2956664, 0.096008], [0.4939998, -0.002244]]),
             "0.bias": np.array([0.098333, 0.09626]), "1.weight": np.array([[0.04706], [0.154089]]),
             "1.bias": np.array([0.9235])}
published_before, published_after = 0.7654329236196236, 0.739  # probability of class 1

# As the test does it: the fields that a first fit would fill are set by hand.
m = MLPClassifier(solver="sgd", learning_rate_init=rate, alpha=alpha, activation="logistic", random_state=1,
                  max_iter=1, hidden_layer_sizes=2, momentum=0)
m.coefs_ = [start["0.weight"].copy(), start["1.weight"].copy()]
m.intercepts_ = [start["0.bias"].copy(), start["1.bias"].copy()]
m.n_outputs_, m.n_features_in_, m.n_layers_, m.out_activation_ = 1, 3, 3, "logistic"
m.n_iter_, m.learning_rate_, m.t_, m.best_loss_ = 0, rate, 0, np.inf
m.loss_curve_, m._no_improvement_count = [], 0
m._coef_grads, m._intercept_grads = [0, 0], [0, 0]
m._coef_velocity = [np.zeros_like(c) for c in m.coefs_]
m._intercept_velocity = [np.zeros_like(b) for b in m.intercepts_]
before = float(m._forward_pass_fast(x)[0, 0])
m.partial_fit(x, y, classes=[0, 1])
computed = {"0.weight": m.coefs_[0], "0.bias": m.intercepts_[0], "1.weight": m.coefs_[1], "1.bias": m.intercepts_[1]}
after = float(m.predict_proba(x)[0, 1])
for k, v in published.items():
    np.testing.assert_almost_equal(computed[k], v, decimal=3)
np.testing.assert_almost_equal(before, published_before, decimal=3)
np.testing.assert_almost_equal(after, published_after, decimal=3)

named = lambda d: {k: tensor(v) for k, v in d.items()}
write("mlp_sklearn.json", {"sklearn": sklearn.__version__}, [{
    "name": "test_fit", "kind": "MLPClassifier", "source": SOURCE,
    "config": {"activation": "sigmoid", "lr": rate, "momentum": 0.0, "alpha": alpha, "steps": 1},
    "inputs": [tensor(x)], "target": tensor(y), "params": named(start),
    "published": {"decimals": 3, "params_after": named(published), "output_before": published_before,
                  "output_after": published_after},
    "computed": {"params_after": named(computed), "output_before": before, "output_after": after,
                 "loss_with_penalty": float(m.loss_)},
}])
